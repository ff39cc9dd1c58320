/* sonde_samplers.hpp: the part of <sonde.hpp> that draws: row_sampler, token_sampler, path_sampler. Include <sonde.hpp>.
 *
 * Spans and views that a draw gives belong to the sampler, until its next call; everything else is yours.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SAMPLERS_HPP
#define SONDE_SAMPLERS_HPP

#ifndef SONDE_HPP
#error "include <sonde.hpp>, which includes this"
#endif

namespace sonde {

/* ---- Row samplers ------------------------------------------------------------------------------------ */

/* What one draw gave; the spans belong to the sampler, until its next draw, fit, merge or end. */
struct rows {
    span<const std::int64_t> ids;
    span<const float> weights;
    span<const std::int64_t> groups; /* empty where the method has none */
    std::int64_t pass = 0;
    bool last = false;
};

/* Where the derivative by an input of loss goes: the name and the shape of the input. */
struct gradient {
    const char *name;
    matrix_view<float> values;
};

class row_sampler : public detail::model<row_sampler, detail::row_sampler_functions> {
public:
    row_sampler() = default;
    explicit row_sampler(const std::string &spec, std::int64_t dim = 0, const runtime_ref &on = {})
        : model(spec, dim, on)
    {
    }

    void fit(const std::vector<input> &inputs)
    {
        const auto list = detail::named(inputs);
        check(sonde_row_sampler_fit(c_handle(), list.data(), list.size()));
    }
    /* The index must outlive the sampler, or be taken back by detach(). */
    void attach(const index &searched) { check(sonde_row_sampler_attach(c_handle(), searched.c_handle())); }
    void detach() { check(sonde_row_sampler_attach(c_handle(), nullptr)); }
    bool fitted() const { return sonde_row_sampler_fitted(c_handle()); }

    rows draw(std::int64_t count = 0)
    {
        sonde_rows drawn = SONDE_ROWS_INIT;
        check(sonde_row_sampler_draw(c_handle(), count, &drawn));
        return taken(drawn);
    }
    rows draw_for(const std::vector<input> &inputs, std::int64_t count = 0)
    {
        const auto list = detail::named(inputs);
        sonde_rows drawn = SONDE_ROWS_INIT;
        check(sonde_row_sampler_draw_for(c_handle(), list.data(), list.size(), count, &drawn));
        return taken(drawn);
    }
    /* One more column of the last draw or observation; a view of the sampler's memory. */
    template <class T> matrix_view<const T> output(const std::string &name) const
    {
        sonde_array column;
        check(sonde_row_sampler_output(c_handle(), name.c_str(), &column));
        return detail::typed<T>(column, name);
    }
    void observe(const std::vector<input> &inputs)
    {
        const auto list = detail::named(inputs);
        check(sonde_row_sampler_observe(c_handle(), list.data(), list.size()));
    }
    double loss(const std::vector<input> &inputs, const std::vector<gradient> &gradients = {}) const
    {
        const auto list = detail::named(inputs);
        std::vector<sonde_input> wanted;
        for (const gradient &one : gradients) wanted.push_back({one.name, &one.values.c_array()});
        double value = 0;
        check(sonde_row_sampler_loss(c_handle(), list.data(), list.size(), wanted.data(), wanted.size(), &value));
        return value;
    }
    void merge(const row_sampler &other) { check(sonde_row_sampler_merge(c_handle(), other.c_handle())); }
    void seek(std::int64_t pass) { check(sonde_row_sampler_seek(c_handle(), pass)); }

private:
    static rows taken(const sonde_rows &drawn)
    {
        const auto count = static_cast<std::size_t>(drawn.count);
        return {{drawn.ids, count}, {drawn.weights, count}, {drawn.groups, drawn.groups ? count : 0}, drawn.pass,
                drawn.last != 0};
    }
};

/* ---- Token samplers ---------------------------------------------------------------------------------- */

/* For whom to draw, and what is forbidden; what is pointed to stays yours. */
struct token_options {
    const std::int64_t *sequences = nullptr; /* one for each row; nullptr: row i belongs to sequence i */
    const view *allowed = nullptr;           /* bits, one row for all or one for each */
    std::uint32_t threads = 0;
};

struct drawn_tokens {
    std::vector<std::int32_t> ids;
    std::vector<float> log_probs, raw_log_probs;
    std::vector<std::int64_t> survivors;
    std::vector<float> entropies;
};

/* Row i: counts[i] survivors, of which the most likely are in row i of ids and log_probs, most likely first. */
struct candidates {
    matrix<std::int32_t> ids;
    matrix<float> log_probs;
    std::vector<std::int64_t> counts;
};

/* Drafted tokens; the spans belong to the sampler, until its next draft or end. -1 is the text so far. */
struct draft_tree {
    span<const std::int32_t> tokens;
    span<const std::int64_t> parents;
    span<const std::int64_t> frontier;
};

struct verdict {
    std::vector<std::int64_t> path; /* the accepted nodes from the root on */
    std::int32_t token = 0;
    float log_prob = 0;
};

class token_sampler : public detail::model<token_sampler, detail::token_sampler_functions> {
public:
    token_sampler() = default;
    token_sampler(const std::string &spec, std::int64_t vocabulary, const runtime_ref &on = {})
        : model(spec, vocabulary, on)
    {
    }
    std::int64_t vocabulary() const { return dim(); }

    std::vector<std::int32_t> next(const view &logits)
    {
        std::vector<std::int32_t> tokens(static_cast<std::size_t>(logits.rows()));
        check(sonde_token_sampler_next(c_handle(), &logits.c_array(), tokens.data()));
        return tokens;
    }
    drawn_tokens sample(const view &logits, const token_options &how = {})
    {
        const auto rows = static_cast<std::size_t>(logits.rows());
        drawn_tokens drawn;
        drawn.ids.resize(rows);
        drawn.log_probs.resize(rows);
        drawn.raw_log_probs.resize(rows);
        drawn.survivors.resize(rows);
        drawn.entropies.resize(rows);
        sonde_tokens out = SONDE_TOKENS_INIT;
        out.ids = drawn.ids.data();
        out.log_probs = drawn.log_probs.data();
        out.raw_log_probs = drawn.raw_log_probs.data();
        out.survivors = drawn.survivors.data();
        out.entropies = drawn.entropies.data();
        const sonde_token_options given = options(how);
        check(sonde_token_sampler_next_with(c_handle(), &logits.c_array(), &given, &out));
        return drawn;
    }
    candidates filter(const view &logits, std::int64_t capacity, const token_options &how = {})
    {
        candidates found;
        found.ids = matrix<std::int32_t>(logits.rows(), capacity);
        found.log_probs = matrix<float>(logits.rows(), capacity);
        found.counts.resize(static_cast<std::size_t>(logits.rows()));
        const sonde_token_options given = options(how);
        check(sonde_token_sampler_filter(c_handle(), &logits.c_array(), &given, capacity, found.ids.data(),
                                         found.log_probs.data(), found.counts.data()));
        return found;
    }
    void accept(std::int64_t sequence, span<const std::int32_t> tokens)
    {
        check(sonde_token_sampler_accept(c_handle(), sequence, tokens.data(),
                                         static_cast<std::int64_t>(tokens.size())));
    }
    void reset(std::int64_t sequence = -1) { check(sonde_token_sampler_reset(c_handle(), sequence)); }

    /* Begins a tree; then draft(logits of the frontier) until the frontier is empty. */
    draft_tree draft() { return drafted(nullptr); }
    draft_tree draft(const view &logits) { return drafted(&logits.c_array()); }
    /* predict(const draft_tree &, matrix_view<float>) fills the logits of the frontier; what it throws comes out. */
    template <class Model> draft_tree draft_run(Model predict)
    {
        sonde_draft_tree tree = SONDE_DRAFT_TREE_INIT;
        const auto call = [](const sonde_draft_tree *at, sonde_array *logits, void *user) {
            return detail::guarded(1, [&] {
                (*static_cast<Model *>(user))(
                    taken(*at), matrix_view<float>(static_cast<float *>(logits->data), logits->rows, logits->cols));
                return 0;
            });
        };
        check(sonde_token_sampler_draft_run(c_handle(), call, &predict, &tree));
        return taken(tree);
    }
    /* Of the last draft, by the target's laws: a row for the root, then one for each node. */
    verdict verify(const view &target) { return verified(target, nullptr, nullptr); }
    verdict verify(const view &target, const view &draft, const draft_tree &tree)
    {
        sonde_draft_tree given = SONDE_DRAFT_TREE_INIT;
        given.count = static_cast<std::int64_t>(tree.tokens.size());
        given.tokens = tree.tokens.data();
        given.parents = tree.parents.data();
        return verified(target, &draft.c_array(), &given);
    }
    double accept_rate(const std::string &rule, const view &p, const view &q, std::int64_t width) const
    {
        double rate = 0;
        check(sonde_token_sampler_accept_rate(c_handle(), rule.c_str(), &p.c_array(), &q.c_array(), width, &rate));
        return rate;
    }

private:
    static sonde_token_options options(const token_options &how)
    {
        sonde_token_options given = SONDE_TOKEN_OPTIONS_INIT;
        given.threads = how.threads;
        given.sequences = how.sequences;
        given.allowed = how.allowed ? &how.allowed->c_array() : nullptr;
        return given;
    }
    static draft_tree taken(const sonde_draft_tree &tree)
    {
        const auto count = static_cast<std::size_t>(tree.count);
        return {{tree.tokens, count}, {tree.parents, count},
                {tree.frontier, static_cast<std::size_t>(tree.frontier_count)}};
    }
    draft_tree drafted(const sonde_array *logits)
    {
        sonde_draft_tree tree = SONDE_DRAFT_TREE_INIT;
        check(sonde_token_sampler_draft(c_handle(), logits, &tree));
        return taken(tree);
    }
    verdict verified(const view &target, const sonde_array *draft, const sonde_draft_tree *tree)
    {
        verdict decided;
        decided.path.resize(static_cast<std::size_t>(target.rows()));
        sonde_verdict out = SONDE_VERDICT_INIT;
        out.capacity = target.rows();
        out.path = decided.path.data();
        check(sonde_token_sampler_verify(c_handle(), &target.c_array(), draft, tree, &out));
        decided.path.resize(static_cast<std::size_t>(out.accepted));
        decided.token = out.token;
        decided.log_prob = out.log_prob;
        return decided;
    }
};

/* ---- Path samplers ----------------------------------------------------------------------------------- */

using path_node = sonde_path_node;

/* Where a prediction is wanted; x belongs to the sampler, until tell. */
struct ask {
    bool done = false;
    matrix_view<const float> x;
    double t = 0, alpha = 0, sigma = 0;
    sonde_prediction prediction = SONDE_PREDICTION_NOISE;
    bool condition = true;
    std::int64_t step = 0, evaluation = 0;
};

class path_sampler : public detail::model<path_sampler, detail::path_sampler_functions> {
public:
    path_sampler() = default;
    path_sampler(const std::string &spec, std::int64_t dim, const runtime_ref &on = {}) : model(spec, dim, on) {}

    void start(const view &x) { check(sonde_path_sampler_start(c_handle(), &x.c_array())); }
    sonde::ask ask()
    {
        sonde_ask wanted = SONDE_ASK_INIT;
        check(sonde_path_sampler_ask(c_handle(), &wanted));
        return taken(wanted);
    }
    void tell(const view &prediction) { check(sonde_path_sampler_tell(c_handle(), &prediction.c_array())); }

    /* predict(const ask &, matrix_view<float>) fills the prediction; x becomes the final state. What it throws comes out. */
    template <class Model> void run(const matrix_view<float> &x, Model predict)
    {
        sonde_array state = x.c_array();
        const auto call = [](const sonde_ask *wanted, sonde_array *prediction, void *user) {
            return detail::guarded(1, [&] {
                (*static_cast<Model *>(user))(taken(*wanted),
                                              matrix_view<float>(static_cast<float *>(prediction->data),
                                                                 prediction->rows, prediction->cols));
                return 0;
            });
        };
        check(sonde_path_sampler_run(c_handle(), &state, call, &predict));
    }
    /* "state", or what the method's table of outputs has; a view of the sampler's memory. */
    matrix_view<const float> output(const std::string &name) const
    {
        sonde_array column;
        check(sonde_path_sampler_output(c_handle(), name.c_str(), &column));
        return detail::typed<float>(column, name);
    }
    std::vector<path_node> nodes() const
    {
        return detail::read_all<path_node, std::int64_t>(
            [&](path_node *found, std::int64_t capacity, std::int64_t *count) {
                return sonde_path_sampler_nodes(c_handle(), found, capacity, count);
            });
    }

private:
    static sonde::ask taken(const sonde_ask &wanted)
    {
        return {wanted.done != 0,
                matrix_view<const float>(static_cast<const float *>(wanted.x.data), wanted.x.rows, wanted.x.cols),
                wanted.t, wanted.alpha, wanted.sigma, static_cast<sonde_prediction>(wanted.prediction),
                wanted.condition != 0, wanted.step, wanted.evaluation};
    }
};

} // namespace sonde

#endif
