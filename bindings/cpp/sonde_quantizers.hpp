/* sonde_quantizers.hpp: the part of <sonde.hpp> that packs, quantizer, and that keeps generated ids, trie. Include
 * <sonde.hpp>.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_QUANTIZERS_HPP
#define SONDE_QUANTIZERS_HPP

#ifndef SONDE_HPP
#error "include <sonde.hpp>, which includes this"
#endif

namespace sonde {

/* ---- Quantizer --------------------------------------------------------------------------------------- */

/* Scores, and how far each may be from that of the row that the code was made from. */
struct bounds {
    matrix<float> scores, errors;
};

/* Vectors to codes and back, and scores on codes; see sonde/quantizer.h. The _into forms write to memory of yours. */
class quantizer : public detail::trained_model<quantizer, detail::quantizer_functions> {
public:
    quantizer() = default;
    quantizer(const std::string &spec, std::int64_t dim, const runtime_ref &on = {}) : trained_model(spec, dim, on) {}

    std::int64_t code_bytes() const { return sonde_quantizer_code_bytes(c_handle()); }
    bool trained() const { return sonde_quantizer_trained(c_handle()); }

    /* Keeps a sample of rows that come piece by piece, for train_observed. */
    void observe(const view &vectors)
    {
        const std::vector<input> inputs = {{"vectors", vectors}};
        const auto list = detail::named(inputs);
        check(sonde_quantizer_observe(c_handle(), list.data(), list.size()));
    }
    void train_observed() { train(std::vector<input>{}); }
    /* Trains, and gives the group of each row; `others` are further inputs, such as "masses". */
    std::vector<std::int32_t> cluster(const view &vectors, const std::vector<input> &others = {})
    {
        std::vector<input> inputs = {{"vectors", vectors}};
        inputs.insert(inputs.end(), others.begin(), others.end());
        const auto list = detail::named(inputs);
        std::vector<std::int32_t> labels(static_cast<std::size_t>(vectors.rows()));
        check(sonde_quantizer_cluster(c_handle(), list.data(), list.size(), labels.data()));
        return labels;
    }
    /* A result of training by its name, such as "centroids"; a view of the quantizer's memory, until the next training. */
    template <class T> matrix_view<const T> output(const std::string &name) const
    {
        sonde_array view_of;
        check(sonde_quantizer_output(c_handle(), name.c_str(), &view_of));
        return detail::typed<T>(view_of, name);
    }

    matrix<std::uint8_t> encode(const view &vectors) const
    {
        matrix<std::uint8_t> codes(vectors.rows(), code_bytes());
        encode_into(vectors, codes);
        return codes;
    }
    void encode_into(const view &vectors, const matrix_view<std::uint8_t> &codes) const
    {
        sonde_array out = codes.c_array();
        check(sonde_quantizer_encode(c_handle(), &vectors.c_array(), &out));
    }
    matrix<float> decode(const view &codes) const
    {
        matrix<float> vectors(codes.rows(), dim());
        decode_into(codes, vectors);
        return vectors;
    }
    void decode_into(const view &codes, const matrix_view<float> &vectors) const
    {
        sonde_array out = vectors.c_array();
        check(sonde_quantizer_decode(c_handle(), &codes.c_array(), &out));
    }
    /* Row i, column j: the score of query i with code j. */
    matrix<float> distances(metric by, const view &queries, const view &codes) const
    {
        matrix<float> scores(queries.rows(), codes.rows());
        distances_into(by, queries, codes, scores);
        return scores;
    }
    void distances_into(metric by, const view &queries, const view &codes, const matrix_view<float> &scores) const
    {
        sonde_array out = scores.c_array();
        check(sonde_quantizer_distances(c_handle(), static_cast<std::uint32_t>(by), &queries.c_array(),
                                        &codes.c_array(), &out));
    }
    /* Row i, column j: the score of the reconstructions of from[i] and codes[j]. */
    matrix<float> code_distances(metric by, const view &from, const view &codes) const
    {
        matrix<float> scores(from.rows(), codes.rows());
        code_distances_into(by, from, codes, scores);
        return scores;
    }
    void code_distances_into(metric by, const view &from, const view &codes, const matrix_view<float> &scores) const
    {
        sonde_array out = scores.c_array();
        check(sonde_quantizer_code_distances(c_handle(), static_cast<std::uint32_t>(by), &from.c_array(),
                                             &codes.c_array(), &out));
    }
    sonde::bounds bounds(metric by, const view &queries, const view &codes) const
    {
        sonde::bounds found = {{queries.rows(), codes.rows()}, {queries.rows(), codes.rows()}};
        bounds_into(by, queries, codes, found.scores, found.errors);
        return found;
    }
    void bounds_into(metric by, const view &queries, const view &codes, const matrix_view<float> &scores,
                     const matrix_view<float> &errors) const
    {
        sonde_array score_rows = scores.c_array(), error_rows = errors.c_array();
        check(sonde_quantizer_bounds(c_handle(), static_cast<std::uint32_t>(by), &queries.c_array(),
                                     &codes.c_array(), &score_rows, &error_rows));
    }
};

/* ---- Trie -------------------------------------------------------------------------------------------- */

enum class trie_scale : std::uint32_t {
    log_probs = SONDE_TRIE_LOG_PROBS,
    logits = SONDE_TRIE_LOGITS,
    masked = SONDE_TRIE_MASKED
};

/* trie_search(10).scale(trie_scale::logits): what is not set keeps the default of sonde_trie_search_options. */
class trie_search {
public:
    explicit trie_search(std::uint32_t width) { options_.width = width; }
    trie_search &scale(trie_scale what) { options_.scale = static_cast<std::uint32_t>(what); return *this; }
    trie_search &end(std::int64_t column) { options_.has_end = 1; options_.end = column; return *this; }
    trie_search &vocabulary(std::int64_t columns) { options_.vocabulary = columns; return *this; }
    const sonde_trie_search_options &c_options() const noexcept { return options_; }

private:
    sonde_trie_search_options options_ = SONDE_TRIE_SEARCH_OPTIONS_INIT;
};

/* Best first; sequences are padded with -1, and ids holds the first document of each. */
struct trie_hits {
    matrix<std::int32_t> sequences;
    std::vector<std::int64_t> ids;
    std::vector<float> scores;
};

/* Sequences of small numbers that name documents; see sonde/trie.h. Matrices of sequences hold int32. */
class trie : public detail::model<trie, detail::trie_functions> {
public:
    trie() = default;
    trie(const std::string &spec, std::int64_t length, const runtime_ref &on = {}) : model(spec, length, on) {}

    std::int64_t length() const { return dim(); }
    std::int64_t size() const { return sonde_trie_count(c_handle()); }

    /* Without ids, they go on counting: 0, 1, 2, ... */
    void add(const view &sequences) { check(sonde_trie_add(c_handle(), &sequences.c_array(), nullptr)); }
    void add(const view &sequences, span<const std::int64_t> ids)
    {
        if (static_cast<std::int64_t>(ids.size()) != sequences.rows())
            raise(SONDE_INVALID_ARGUMENT, "add: " + std::to_string(ids.size()) + " ids for " +
                                              std::to_string(sequences.rows()) + " sequences");
        check(sonde_trie_add(c_handle(), &sequences.c_array(), ids.data()));
    }
    std::vector<std::int32_t> children(span<const std::int32_t> prefix) const
    {
        return detail::read_all<std::int32_t, std::int64_t>(
            [&](std::int32_t *codes, std::int64_t capacity, std::int64_t *count) {
                return sonde_trie_children(c_handle(), prefix.data(), static_cast<std::int64_t>(prefix.size()), codes,
                                           capacity, count);
            });
    }
    std::vector<std::int64_t> lookup(span<const std::int32_t> sequence) const
    {
        return detail::read_all<std::int64_t, std::int64_t>(
            [&](std::int64_t *ids, std::int64_t capacity, std::int64_t *count) {
                return sonde_trie_lookup(c_handle(), sequence.data(), static_cast<std::int64_t>(sequence.size()), ids,
                                         capacity, count);
            });
    }
    /* One row of logits for each prefix, changed in place; end: the column of the end of a sequence, -1 = none. */
    void mask(const view &prefixes, const matrix_view<float> &logits, std::int64_t end = -1) const
    {
        sonde_array rows = logits.c_array();
        check(sonde_trie_mask(c_handle(), &prefixes.c_array(), end, &rows));
    }

    /* score(matrix_view<const int32_t> prefixes, matrix_view<float> out) fills a row of scores for each prefix; what it
     * throws comes out. */
    template <class Score> trie_hits search(const trie_search &how, Score score) const
    {
        sonde_trie_search_options options = how.c_options();
        const auto most = std::min<std::int64_t>(options.width, std::max<std::int64_t>(size(), 1));
        options.width = static_cast<std::uint32_t>(most); /* more cannot be found */
        options.score = [](const std::int32_t *prefixes, std::int64_t count, std::int64_t depth,
                           std::int64_t vocabulary, float *out, void *user) {
            return detail::guarded(1, [&] {
                (*static_cast<Score *>(user))(matrix_view<const std::int32_t>(prefixes, count, depth),
                                              matrix_view<float>(out, count, vocabulary));
                return 0;
            });
        };
        options.user = &score;
        const auto room = static_cast<std::size_t>(most);
        std::vector<std::int32_t> sequences(room * static_cast<std::size_t>(length()));
        trie_hits found = {{}, std::vector<std::int64_t>(room), std::vector<float>(room)};
        sonde_trie_hits out = SONDE_TRIE_HITS_INIT;
        out.sequences = sequences.data();
        out.ids = found.ids.data();
        out.scores = found.scores.data();
        check(sonde_trie_search(c_handle(), &options, &out));
        found.sequences = matrix<std::int32_t>(out.count, length());
        std::copy_n(sequences.data(), found.sequences.size(), found.sequences.data());
        found.ids.resize(static_cast<std::size_t>(out.count));
        found.scores.resize(static_cast<std::size_t>(out.count));
        return found;
    }
};

/* Sequences that differ from each other: one column more than given, a suffix, or -1 where none is needed. */
inline matrix<std::int32_t> unique_sequences(const view &sequences, const runtime_ref &on = {})
{
    matrix<std::int32_t> unique(sequences.rows(), sequences.cols() + 1);
    sonde_array out = matrix_view<std::int32_t>(unique).c_array();
    check(sonde_sequences_unique(&sequences.c_array(), nullptr, on.c_handle(), &out));
    return unique;
}

/* The same by moving rows to free sequences near by; `by`: the trained rq or rkmeans that made the sequences of `vectors`. */
inline matrix<std::int32_t> unique_sequences(const view &sequences, const quantizer &by, const view &vectors,
                                             std::uint32_t tries = 0, const runtime_ref &on = {})
{
    sonde_unique_options options = SONDE_UNIQUE_OPTIONS_INIT;
    options.mode = SONDE_UNIQUE_RESOLVE;
    options.tries = tries;
    options.quantizer = by.c_handle();
    options.vectors = &vectors.c_array();
    matrix<std::int32_t> unique(sequences.rows(), sequences.cols() + 1);
    sonde_array out = matrix_view<std::int32_t>(unique).c_array();
    check(sonde_sequences_unique(&sequences.c_array(), &options, on.c_handle(), &out));
    return unique;
}

} // namespace sonde

#endif
