/* test_sonde.cpp: sonde.hpp beside the C interface: equal results, messages unchanged, handles that move, callbacks
 * that throw. One function is one test; the program says which failed and ends with 1. test_cpp.py builds and runs it.
 *
 * SPDX-License-Identifier: MIT
 */
#include <sonde.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <set>
#include <thread>
#ifdef __cpp_lib_ranges
#include <ranges>
#endif

namespace {

constexpr std::int64_t DIM = 16, ROWS = 3000, QUERIES = 7;

/* ---- A small harness --------------------------------------------------------------------------------- */

int failures;

void expect(bool good, const char *what, int line)
{
    if (good) return;
    std::printf("test_sonde.cpp:%d: not so: %s\n", line, what);
    failures++;
}
#define EXPECT(condition) expect(condition, #condition, __LINE__)

/* Runs `call`, which must throw exactly the class that belongs to the status; returns its message. */
template <sonde_status Status, class Call> std::string message_of(Call call, int line)
{
    try {
        call();
    } catch (const sonde::status_error<Status> &error) {
        expect(error.status() == Status, "status() fits the class", line);
        return error.what();
    } catch (const std::exception &error) {
        expect(false, error.what(), line);
        return "";
    }
    expect(false, "an exception", line);
    return "";
}
#define MESSAGE(status, call) message_of<SONDE_##status>([&] { call; }, __LINE__)
/* The message must be the C library's own, which is still there to compare with. */
#define EXPECT_C_MESSAGE(status, call)                       \
    do {                                                     \
        const std::string message = MESSAGE(status, call);   \
        EXPECT(!message.empty());                            \
        EXPECT(message == sonde_error_message());            \
    } while (0)

/* Numbers that are alike on every machine. */
std::vector<float> numbers(std::size_t count, std::uint32_t seed)
{
    std::vector<float> made(count);
    for (float &value : made) {
        seed = seed * 1664525u + 1013904223u;
        value = static_cast<float>(seed >> 8) / 16777216.0f - 0.5f;
    }
    return made;
}

const std::vector<float> base = numbers(ROWS * DIM, 1), queries = numbers(QUERIES * DIM, 2);

sonde::view base_rows() { return {base, DIM}; }
sonde::view query_rows() { return {queries, DIM}; }

sonde::index filled(const char *spec = "flat(metric=l2)", const sonde::runtime_ref &on = {})
{
    sonde::index index(spec, DIM, on);
    index.add(base_rows());
    return index;
}

/* ---- Views ------------------------------------------------------------------------------------------- */

void views()
{
    const std::vector<float> six = {1, 2, 3, 4, 5, 6};
    const sonde::view rows(six, 3);
    EXPECT(rows.rows() == 2 && rows.cols() == 3 && rows.c_array().stride == 12);
    EXPECT(rows.c_array().dtype == SONDE_DTYPE_F32 && rows.c_array().data == six.data());
    EXPECT(rows.slice(1, 1).c_array().data == six.data() + 3);
    EXPECT(MESSAGE(INVALID_ARGUMENT, rows.slice(1, 2)) == "view: rows 1 to 3 of 2");
    EXPECT(MESSAGE(INVALID_ARGUMENT, sonde::view(six, 4)) == "view: 6 values do not fill rows of 4 columns");
    EXPECT(MESSAGE(INVALID_ARGUMENT, sonde::view(six, 0)) == "view: 6 values do not fill rows of 0 columns");

    const std::uint8_t bytes[4] = {1, 2, 3, 4};
    EXPECT(sonde::view(bytes, 2).c_array().dtype == SONDE_DTYPE_U8);
    EXPECT(sonde::view::bits(bytes, 2, 13).c_array().stride == 2);
    const std::uint16_t half[4] = {0x3c00, 0, 0, 0};
    EXPECT(sonde::view::f16(half, 2, 2).c_array().dtype == SONDE_DTYPE_F16);
    EXPECT(sonde::view::bf16(half, 1, 2, 4).c_array().stride == 4);

    std::vector<float> wide(8);
    sonde::matrix_view<float> narrow(wide.data(), 2, 3, 16);
    narrow[1][2] = 7;
    EXPECT(wide[6] == 7 && sonde::view(narrow).c_array().stride == 16);
    const sonde::span<const float> part(six);
    EXPECT(sonde::view(part, 2).rows() == 3 && part.size() == 6);
}

void matrices()
{
    sonde::matrix<float> m(2, 3);
    m[1][0] = 5;
    const sonde::matrix<float> &same = m;
    EXPECT(same[1].size() == 3 && same[1][0] == 5 && m.values()[3] == 5 && m.size() == 6);
    EXPECT(sonde::view(m).c_array().data == m.data());
}

/* ---- Index ------------------------------------------------------------------------------------------- */

void search_equals_c()
{
    for (const char *spec : {"flat(metric=cosine)", "ivf(nlist=16, metric=l2)"}) {
        const sonde::index index = filled(spec);
        const sonde::hits found = index.search(query_rows(), sonde::search().k(5).recall(0.9f).threads(1));

        std::int64_t ids[QUERIES * 5];
        float scores[QUERIES * 5];
        std::int32_t count[QUERIES];
        std::uint8_t reason[QUERIES];
        sonde_search_options how = SONDE_SEARCH_OPTIONS_INIT;
        how.k = 5;
        how.recall = 0.9f;
        how.threads = 1;
        sonde_hits out = SONDE_HITS_INIT;
        out.ids = ids, out.scores = scores, out.count = count, out.reason = reason;
        EXPECT(sonde_index_search(index.c_handle(), &query_rows().c_array(), &how, &out) == SONDE_OK);
        EXPECT(std::equal(found.ids.begin(), found.ids.end(), ids, ids + QUERIES * 5));
        EXPECT(std::equal(found.scores.begin(), found.scores.end(), scores, scores + QUERIES * 5));
        EXPECT(std::equal(found.count.begin(), found.count.end(), count, count + QUERIES));
        EXPECT(std::equal(found.reason.begin(), found.reason.end(), reason, reason + QUERIES));

        std::vector<std::int64_t> own_ids(QUERIES * 5);
        std::vector<float> own_scores(QUERIES * 5);
        index.search_into(query_rows(), sonde::search().k(5).recall(0.9f), own_ids, own_scores);
        EXPECT(own_ids == found.ids && own_scores == found.scores);
        index.search_into(query_rows(), sonde::search().k(5).recall(0.9f), own_ids);
        EXPECT(own_ids == found.ids);
    }
}

void search_into_small_buffers()
{
    const sonde::index index = filled();
    std::vector<std::int64_t> ids(QUERIES * 10);
    std::vector<float> scores(QUERIES * 10 - 1);
    std::vector<std::int32_t> count(QUERIES - 1);
    EXPECT(MESSAGE(INVALID_ARGUMENT, index.search_into(query_rows(), {}, ids, scores)) ==
           "search: scores has room for 69 values, 70 are needed");
    EXPECT(MESSAGE(INVALID_ARGUMENT, index.search_into(query_rows(), {}, ids, {}, count)) ==
           "search: count has room for 6 values, 7 are needed");
    EXPECT(MESSAGE(INVALID_ARGUMENT, index.search_into(query_rows(), sonde::search().k(11), ids)) ==
           "search: ids has room for 70 values, 77 are needed");
}

void hits_are_ranges()
{
    sonde::index index("flat", DIM);
    index.add(base_rows().slice(0, 3));
    const sonde::hits found = index.search(query_rows(), sonde::search().k(5));
    EXPECT(found.size() == QUERIES && found.queries == QUERIES && found.k == 5);
    std::size_t rows = 0;
    for (auto row : found) {
        EXPECT(row.size() == 3 && !row.empty() && row.reason() == sonde::stop::fewer);
        std::size_t place = 0;
        for (auto [id, score] : row) {
            EXPECT(id == found.ids[rows * 5 + place] && score == found.scores[rows * 5 + place]);
            EXPECT(id == row.ids()[place] && score == row.scores()[place]);
            place++;
        }
        EXPECT(place == 3);
        rows++;
    }
    EXPECT(rows == QUERIES);
    const auto first = found[0].begin();
    EXPECT((*first).id == found.ids[0]);
    EXPECT(std::count_if(found[0].begin(), found[0].end(), [](sonde::hit hit) { return hit.id >= 0; }) == 3);
#ifdef __cpp_lib_ranges
    static_assert(std::ranges::input_range<const sonde::hits> && std::ranges::input_range<const sonde::range_hits> &&
                  std::ranges::input_range<sonde::hit_row>);
#endif
}

void hits_memory_is_used_again()
{
    const sonde::index index = filled();
    sonde::hits found;
    index.search_into(query_rows(), {}, found);
    const std::int64_t *ids = found.ids.data();
    index.search_into(query_rows().slice(0, 2), sonde::search().k(3), found);
    EXPECT(found.ids.data() == ids && found.ids.size() == 6 && found.size() == 2 && found.k == 3);
    EXPECT(found.ids == index.search(query_rows().slice(0, 2), sonde::search().k(3)).ids);
}

void range_search()
{
    const sonde::index index = filled();
    sonde::range_hits found = index.range_search(query_rows(), 1.2f);
    sonde_range_hits *raw = nullptr;
    EXPECT(sonde_index_range_search(index.c_handle(), &query_rows().c_array(), 1.2f, nullptr, &raw) == SONDE_OK);
    const std::int64_t *offsets = nullptr, *ids = nullptr;
    sonde_range_hits_view(raw, &offsets, &ids, nullptr);
    std::size_t query = 0;
    for (auto row : found) {
        EXPECT(std::equal(row.ids().begin(), row.ids().end(), ids + offsets[query], ids + offsets[query + 1]));
        for (auto [id, score] : row) EXPECT(id >= 0 && score <= 1.2f);
        query++;
    }
    EXPECT(query == QUERIES && offsets[QUERIES] > 0);
    sonde_range_hits_free(raw);

    const sonde::range_hits moved = std::move(found);
    EXPECT(moved.size() == QUERIES);
    MESSAGE(STATE, found.size());
    MESSAGE(STATE, found[0]);
    const auto ten = sonde::search().filter(sonde::filter::range(0, 10));
    for (auto row : index.range_search(query_rows(), 100.0f, ten)) EXPECT(row.size() == 10);
}

void ids_and_rows()
{
    sonde::index index("flat", DIM);
    const std::vector<std::int64_t> own = {30, 10, 20};
    index.add(base_rows().slice(0, 3), own);
    EXPECT(index.size() == 3 && index.contains(20) && !index.contains(0));
    std::vector<std::int64_t> stored = index.ids();
    std::sort(stored.begin(), stored.end());
    EXPECT((stored == std::vector<std::int64_t>{10, 20, 30}));

    const sonde::matrix<float> rows = index.get({10, 30});
    EXPECT(std::equal(rows[0].begin(), rows[0].end(), base.begin() + DIM));
    EXPECT(std::equal(rows[1].begin(), rows[1].end(), base.begin()));
    std::vector<float> mine(2 * DIM);
    index.get_into(std::vector<std::int64_t>{10, 30}, {mine, DIM});
    EXPECT(mine == rows.values());
    EXPECT_C_MESSAGE(NOT_FOUND, index.get({10, 11}));

    EXPECT(index.remove({10, 99}) == 1 && index.remove(own) == 2 && index.size() == 0 && index.ids().empty());
    EXPECT(MESSAGE(INVALID_ARGUMENT, index.add(base_rows().slice(0, 2), own)) == "add: 3 ids for 2 vectors");
    EXPECT(MESSAGE(INVALID_ARGUMENT, index.add(base_rows().slice(0, 2), sonde::span<const std::int64_t>())) ==
           "add: 0 ids for 2 vectors");
    const std::vector<std::int64_t> twice = {1, 1};
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, index.add(base_rows().slice(0, 2), twice));
}

void bits()
{
    const std::vector<std::uint8_t> rows = {0xff, 0x01, 0x00, 0x00, 0x0f, 0x00};
    sonde::index index("flat(metric=hamming, dtype=bits)", 9);
    index.add(sonde::view::bits(rows.data(), 3, 9));
    EXPECT(index.metric() == sonde::metric::hamming && index.dim() == 9);
    const sonde::hits found = index.search(sonde::view::bits(rows.data(), 1, 9), sonde::search().k(3));
    EXPECT((found.ids == std::vector<std::int64_t>{0, 2, 1} && found.scores == std::vector<float>{0, 5, 9}));
    const std::vector<std::int64_t> wanted = {2, 0};
    EXPECT((index.get_bits(wanted).values() == std::vector<std::uint8_t>{0x0f, 0x00, 0xff, 0x01}));
}

void train_compact_merge_check()
{
    sonde::index index("ivf(nlist=16)", DIM);
    EXPECT(!index.trained());
    index.train({{"vectors", base_rows()}});
    EXPECT(index.trained() && index.size() == 0);
    EXPECT_C_MESSAGE(NOT_FOUND, index.train({{"vektors", base_rows()}}));
    sonde::index other = sonde::index::from_bytes(index.to_bytes());
    index.add(base_rows().slice(0, 1000));
    std::vector<std::int64_t> ids(2000);
    for (std::size_t i = 0; i < ids.size(); i++) ids[i] = static_cast<std::int64_t>(1000 + i);
    other.add(base_rows().slice(1000, 2000), ids);
    index.merge(other);
    EXPECT(index.size() == ROWS);
    EXPECT(index.remove(ids) == 2000 && index.stats().count == 1000);
    index.compact();
    EXPECT(index.stats().removed == 0 && index.stats().dim == DIM);
    index.check();
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, index.merge(index));
    EXPECT_C_MESSAGE(STATE, index.train({base, DIM}));
}

void tune()
{
    sonde::index index = filled("ivf(nlist=16)");
    index.tune(sonde::tune_options().seconds(0.2).seed(3).threads(1));
    EXPECT(index.stats().calibrated == 1);
    const std::vector<float> many = numbers(60 * DIM, 5);
    index.tune({many, DIM}, sonde::tune_options().threads(1));
    EXPECT(index.stats().calibrated == 2);
    const std::vector<sonde::operating_point> points = index.operating_points();
    EXPECT(points.size() > 3 && points.front().k == 1 && points.back().k == 100);
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, index.tune(query_rows()));
    EXPECT(filled("flat").operating_points().empty());
}

void about_an_index()
{
    const sonde::index index = filled("flat(metric=ip)");
    EXPECT(index.metric() == sonde::metric::ip && index.dim() == DIM && index.size() == ROWS);
    EXPECT(index.spec() == sonde_index_spec(index.c_handle()));
    const auto estimate = sonde::index::estimate("flat", DIM, 1000);
    EXPECT(estimate.memory_bytes >= 1000 * DIM * 4 && estimate.build_bytes >= estimate.memory_bytes);
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, sonde::index::estimate("flat", 0, 1000));
}

/* ---- Filters ----------------------------------------------------------------------------------------- */

std::set<std::int64_t> allowed_by(const sonde::index &index, const sonde::filter &filter)
{
    const auto how = sonde::search().k(ROWS).recall(1).filter(filter);
    const sonde::hits found = index.search(query_rows().slice(0, 1), how);
    return {found.ids.begin(), found.ids.begin() + found.count[0]};
}

void filters()
{
    const sonde::index index = filled();
    const std::set<std::int64_t> few = {3, 5, 8};
    EXPECT(allowed_by(index, sonde::filter::ids({3, 5, 8})) == few);
    EXPECT(allowed_by(index, sonde::filter::bitmap({0x28, 0x01}, 16)) == few);
    EXPECT(allowed_by(index, sonde::filter::bitmap({0x28, 0x01}, 8)).count(8) == 0);
    std::vector<bool> mask(9);
    mask[3] = mask[5] = mask[8] = true;
    EXPECT(allowed_by(index, sonde::filter::mask(mask)) == few);
    EXPECT(allowed_by(index, sonde::filter::where([&](std::int64_t id) { return few.count(id) > 0; })) == few);
    EXPECT((allowed_by(index, sonde::filter::range(3, 5)) == std::set<std::int64_t>{3, 4}));
    EXPECT((allowed_by(index, !sonde::filter::range(1, ROWS)) == std::set<std::int64_t>{0}));
    EXPECT(allowed_by(index, !!sonde::filter::ids({3, 5, 8})) == few);
    EXPECT(allowed_by(index, sonde::filter::ids({})).empty());
    EXPECT(allowed_by(index, sonde::filter::mask({})).empty());
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, allowed_by(index, sonde::filter::ids({5, 3})));
    EXPECT(MESSAGE(INVALID_ARGUMENT, sonde::filter::bitmap({0xff}, 9)) == "filter: 1 bytes do not hold 9 bits");
}

/* A filter may outlive the object it was copied from. */
void filters_share_their_data()
{
    const sonde::index index = filled();
    sonde::search how;
    {
        const sonde::filter temporary = sonde::filter::ids({7, 9});
        how.k(2).filter(temporary);
    }
    const sonde::hits found = index.search(query_rows().slice(0, 1), how);
    EXPECT((std::set<std::int64_t>(found.ids.begin(), found.ids.end()) == std::set<std::int64_t>{7, 9}));
}

void one_filter_a_query()
{
    const sonde::index index = filled();
    const sonde::view two = query_rows().slice(0, 2);
    const auto how = sonde::search().k(1).filters({sonde::filter::range(4, 5), sonde::filter::ids({6})});
    EXPECT((index.search(two, how).ids == std::vector<std::int64_t>{4, 6}));
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, index.search(query_rows(), how));
}

/* ---- Callbacks that throw ---------------------------------------------------------------------------- */

struct own_exception {
    int number;
};

template <class Call> int number_thrown(Call call)
{
    try {
        call();
    } catch (const own_exception &thrown) {
        return thrown.number;
    } catch (const std::exception &other) {
        std::printf("another exception: %s\n", other.what());
    }
    return 0;
}

void filter_that_throws()
{
    const sonde::index index = filled();
    int calls = 0;
    const auto bad = sonde::filter::where([&](std::int64_t) -> bool {
        calls++;
        throw own_exception{42};
    });
    const auto how = sonde::search().filter(bad);
    EXPECT(number_thrown([&] { index.search(query_rows(), how); }) == 42);
    EXPECT(calls == 1); /* the search stopped at once */
    EXPECT(number_thrown([&] { index.range_search(query_rows(), 1.0f, how); }) == 42);
    EXPECT(index.search(query_rows()).ids.size() == QUERIES * 10); /* nothing is left behind */
    const auto empty = sonde::search().filter(sonde::filter::where(nullptr));
    bool thrown = false;
    try {
        index.search(query_rows(), empty);
    } catch (const std::bad_function_call &) {
        thrown = true;
    }
    EXPECT(thrown);
}

/* Until the call has returned, callbacks are not asked again, and the first exception stays. */
void the_first_exception_counts()
{
    int calls = 0;
    const auto body = [&]() -> int { throw own_exception{++calls}; };
    EXPECT(sonde::detail::guarded(-1, body) == -1 && sonde::detail::guarded(-1, body) == -1 && calls == 1);
    EXPECT(number_thrown([] { sonde::check(SONDE_OK); }) == 1);
    EXPECT(sonde::detail::guarded(-1, [] { return 5; }) == 5);
}

void search_within_a_filter()
{
    const sonde::index index = filled(), inner = filled();
    const auto accept = [&](std::int64_t id) {
        return inner.search(query_rows().slice(0, 1), sonde::search().k(3)).ids[0] == id;
    };
    const auto how = sonde::search().k(1).filter(sonde::filter::where(accept));
    EXPECT(index.search(query_rows().slice(0, 1), how).ids == inner.search(query_rows().slice(0, 1),
                                                                           sonde::search().k(1)).ids);
}

void progress()
{
    int calls = 0, mode = 0;
    bool sound = true;
    const auto watch = [&](std::string_view stage, std::uint64_t done, std::uint64_t total) {
        calls++;
        sound = sound && !stage.empty() && done <= total && total >= 1;
        if (mode == 2) throw own_exception{7};
        return mode == 0;
    };
    const sonde::runtime runtime(sonde::runtime_options().progress(watch));
    sonde::index index("ivf(nlist=16)", DIM, runtime);
    mode = 1;
    EXPECT_C_MESSAGE(CANCELLED, index.add(base_rows()));
    mode = 2;
    calls = 0;
    EXPECT(number_thrown([&] { index.add(base_rows()); }) == 7);
    EXPECT(calls == 1 && index.size() == 0 && !index.trained());
    mode = 0;
    index.add(base_rows());
    EXPECT(index.size() == ROWS && sound);
}

void callables_live_as_long_as_handles()
{
    auto calls = std::make_shared<int>(0);
    sonde::index index;
    {
        const auto watch = [calls](std::string_view, std::uint64_t, std::uint64_t) { return ++*calls, true; };
        const auto log = [calls](sonde::log_level, std::string_view) {};
        const sonde::runtime runtime(sonde::runtime_options().progress(watch).log(log));
        index = sonde::index("ivf(nlist=16)", DIM, runtime);
    }
    EXPECT(calls.use_count() == 3);
    index.add(base_rows());
    EXPECT(*calls > 0);
    index = sonde::index();
    EXPECT(calls.use_count() == 1);
}

/* ---- Runtime ----------------------------------------------------------------------------------------- */

class counting_resource : public std::pmr::memory_resource {
public:
    std::atomic<std::int64_t> held{0};
    std::atomic<bool> refuse{false};

private:
    void *do_allocate(std::size_t bytes, std::size_t align) override
    {
        if (refuse) throw std::bad_alloc();
        void *memory = std::pmr::new_delete_resource()->allocate(bytes, align);
        held += static_cast<std::int64_t>(bytes);
        return memory;
    }
    void do_deallocate(void *memory, std::size_t bytes, std::size_t align) override
    {
        held -= static_cast<std::int64_t>(bytes);
        std::pmr::new_delete_resource()->deallocate(memory, bytes, align);
    }
    bool do_is_equal(const memory_resource &other) const noexcept override { return this == &other; }
};

void memory_resources()
{
    counting_resource resource;
    {
        sonde::index index("flat", DIM, sonde::runtime(sonde::runtime_options().memory(resource)));
        index.add(base_rows());
        EXPECT(resource.held > ROWS * DIM * 4);
        resource.refuse = true;
        EXPECT_C_MESSAGE(OUT_OF_MEMORY, filled("flat", sonde::runtime(sonde::runtime_options().memory(resource))));
        resource.refuse = false;
        sonde::index other("flat", DIM, sonde::runtime(sonde::runtime_options().memory(resource)));
        other = std::move(index); /* frees the old handle while its callbacks are still there */
        EXPECT(other.size() == ROWS);
    }
    EXPECT(resource.held == 0);
}

/* What the library holds is counted here; what the header holds is the sanitizer's to find. */
void many_handles_leave_nothing()
{
    counting_resource resource;
    const sonde::runtime runtime(sonde::runtime_options().memory(resource));
    const auto make = [&] {
        sonde::index made("flat", DIM, runtime);
        const sonde::index moved = std::move(made);
    };
    make(); /* the runtime keeps the scratch of its first handle */
    const std::int64_t before = resource.held;
    for (int i = 0; i < 100000; i++) make();
    EXPECT(resource.held == before);
}

void runtimes()
{
    const sonde::runtime runtime(sonde::runtime_options().threads(1).memory_limit(1 << 20));
    EXPECT_C_MESSAGE(LIMIT, sonde::index("flat", 1024, runtime).add({std::vector<float>(1024 * 1024), 1024}));
    EXPECT(runtime.memory().peak_bytes > 0 && runtime.memory().used_bytes <= runtime.memory().peak_bytes);
    sonde::index index("flat", DIM, runtime);
    runtime.cancel();
    EXPECT_C_MESSAGE(CANCELLED, index.add(base_rows()));
    runtime.resume();
    index.add(base_rows());
    EXPECT(index.size() == ROWS);
}

void cancel_from_another_thread()
{
    std::atomic<bool> started{false};
    const sonde::runtime runtime(sonde::runtime_options().progress(
        [&](std::string_view, std::uint64_t, std::uint64_t) { return started = true, true; }));
    sonde::quantizer quantizer("kmeans(k=1024, iters=1000)", DIM, runtime);
    std::thread stopper([&] {
        while (!started) std::this_thread::yield();
        runtime.cancel();
    });
    MESSAGE(CANCELLED, for (;;) quantizer.train(base_rows()));
    stopper.join();
}

/* ---- Handles that move ------------------------------------------------------------------------------- */

template <class Handle> void moves(Handle first)
{
    static_assert(!std::is_copy_constructible_v<Handle> && !std::is_copy_assignable_v<Handle>);
    static_assert(std::is_nothrow_move_constructible_v<Handle> && std::is_nothrow_move_assignable_v<Handle>);
    const auto *raw = first.c_handle();
    Handle second(std::move(first));
    EXPECT(!first && second && second.c_handle() == raw);
    const std::string message = MESSAGE(STATE, first.c_handle());
    EXPECT(message.find("this handle is empty") != std::string::npos);
    Handle &same = second;
    second = std::move(same);
    EXPECT(second && second.c_handle() == raw);
    first = std::move(second);
    EXPECT(first.c_handle() == raw && !second);
}

void handles_move()
{
    moves(sonde::runtime());
    moves(sonde::index("flat", DIM));
    moves(sonde::quantizer("sq", DIM));
    moves(sonde::transform("rotation", DIM));
    moves(filled().range_search(query_rows(), 1.0f));
}

void empty_handles_throw()
{
    sonde::index index;
    EXPECT(MESSAGE(STATE, index.add(base_rows())) == "index: this handle is empty (never filled, or moved from)");
    MESSAGE(STATE, index.search(query_rows()));
    MESSAGE(STATE, index.size());
    MESSAGE(STATE, index.spec());
    MESSAGE(STATE, index.to_bytes());
    MESSAGE(STATE, filled().merge(index));
    MESSAGE(STATE, sonde::quantizer().encode(base_rows()));
    MESSAGE(STATE, sonde::transform().dim_out());
    MESSAGE(STATE, sonde::range_hits().size());
    sonde::runtime runtime;
    const sonde::runtime taken = std::move(runtime);
    EXPECT(MESSAGE(STATE, sonde::index("flat", DIM, runtime)).rfind("runtime: ", 0) == 0);
    MESSAGE(STATE, runtime.cancel());
}

/* ---- Errors ------------------------------------------------------------------------------------------ */

void c_messages_unchanged()
{
    sonde::index index = filled();
    EXPECT_C_MESSAGE(NOT_FOUND, sonde::index("flat(metrik=l2)", DIM));
    EXPECT_C_MESSAGE(NOT_FOUND, sonde::index("falt", DIM));
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, sonde::quantizer("pq(m=5)", DIM));
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, index.search({queries, DIM / 2}));
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, index.search(query_rows(), sonde::search().k(70000)));
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, index.search(query_rows(), sonde::search().recall(2)));
    const std::vector<std::int64_t> wrong_dtype(DIM);
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, index.search({wrong_dtype, DIM}));
    std::vector<float> bad(DIM);
    bad[3] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, index.add({bad, DIM}));
    EXPECT_C_MESSAGE(STATE, sonde::quantizer("pq", DIM).encode(base_rows()));
    EXPECT_C_MESSAGE(UNSUPPORTED, sonde::transform("normalise", DIM).apply_inverse(base_rows()));
    EXPECT_C_MESSAGE(NOT_FOUND, sonde::index::open("no-such-file.sonde"));
    EXPECT_C_MESSAGE(CORRUPT, sonde::index::from_bytes(std::vector<std::uint8_t>(100)));
    EXPECT_C_MESSAGE(INCOMPATIBLE, sonde::quantizer::from_bytes(index.to_bytes()));
    EXPECT(index.size() == ROWS);
}

void errors_have_one_base()
{
    int caught = 0;
    try {
        sonde::raise(SONDE_OUT_OF_MEMORY, "told");
    } catch (const std::runtime_error &error) {
        caught += std::string(error.what()) == "told";
    }
    try {
        sonde::index("falt", DIM);
    } catch (const sonde::error &error) {
        caught += error.status() == SONDE_NOT_FOUND;
    }
    try {
        sonde::raise(static_cast<sonde_status>(99), "later");
    } catch (const sonde::error &error) {
        caught += error.status() == static_cast<sonde_status>(99);
    }
    EXPECT(caught == 3);
    sonde::check(SONDE_OK);
    EXPECT(std::string(sonde::status_name(SONDE_IO)) == "IO" && std::strlen(sonde::status_text(SONDE_IO)) > 0);
}

/* ---- Files ------------------------------------------------------------------------------------------- */

template <class Model> void files_of(const Model &model, const std::string &noun)
{
    const std::string path = noun + ".sonde";
    model.save(path);
    const std::vector<std::uint8_t> bytes = model.to_bytes();
    EXPECT(Model::open(path).to_bytes() == bytes);
    EXPECT(Model::from_bytes(bytes).to_bytes() == bytes);
    EXPECT(Model::open(path, sonde::open_options().mmap().verify_full()).spec() == model.spec());
    EXPECT(Model::open(path, sonde::open_options().verify_fast(), sonde::runtime()).dim() == model.dim());
    EXPECT_C_MESSAGE(LIMIT, Model::open(path, sonde::open_options().max_bytes(bytes.size() - 1)));
    const sonde::file_contents contents = sonde::file_sections(path);
    EXPECT(contents.noun == noun && !contents.sections.empty());
    for (const sonde::section_info &section : contents.sections) EXPECT(section.intact == 1 && section.tag[0] != 0);
    std::remove(path.c_str());
}

void files()
{
    files_of(filled("ivf(nlist=16)"), "index");
    sonde::quantizer quantizer("sq", DIM);
    quantizer.train(base_rows());
    files_of(quantizer, "quantizer");
    files_of(sonde::transform("rotation", DIM), "transform");
    EXPECT_C_MESSAGE(NOT_FOUND, sonde::file_sections("no-such-file.sonde"));
}

void mapped_index_is_read_only()
{
    filled().save("mapped.sonde");
    sonde::index index = sonde::index::open("mapped.sonde", sonde::open_options().mmap());
    EXPECT(index.search(query_rows()).ids == filled().search(query_rows()).ids);
    EXPECT_C_MESSAGE(STATE, index.add(base_rows()));
    std::remove("mapped.sonde");
}

/* Bytes are measured and then written: an add between the two must not cut them. */
void bytes_while_another_thread_adds()
{
    sonde::index index("flat", DIM);
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        for (int i = 0; i < 200 && !stop; i++) index.add(base_rows().slice(0, 50));
    });
    bool whole = true;
    for (int i = 0; i < 20; i++) whole = whole && sonde::index::from_bytes(index.to_bytes()).size() % 50 == 0;
    stop = true;
    writer.join();
    EXPECT(whole && index.ids().size() == static_cast<std::size_t>(index.size()));
}

/* The same by a list that has another length, and so another end, at each call. */
void lists_that_change_while_they_are_read()
{
    const auto read = [](std::vector<std::int64_t> lengths, sonde_status cut) {
        std::size_t call = 0;
        return sonde::detail::read_all<std::int64_t, std::int64_t>(
            [&](std::int64_t *values, std::int64_t capacity, std::int64_t *length) {
                const std::int64_t now = lengths.at(call++);
                for (std::int64_t i = 0; i < std::min(now, capacity); i++) values[i] = now;
                if (capacity > 0 && now > capacity && cut != SONDE_OK) return cut;
                *length = now;
                return SONDE_OK;
            });
    };
    using list = std::vector<std::int64_t>;
    for (sonde_status cut : {SONDE_OK, SONDE_LIMIT}) {
        EXPECT(read({0}, cut).empty());
        EXPECT((read({2, 2}, cut) == list{2, 2}));
        EXPECT((read({2, 1}, cut) == list{1}));
        EXPECT((read({2, 3, 3, 3}, cut) == list{3, 3, 3}));
        EXPECT((read({2, 3, 4, 5, 6, 2}, cut) == list{2, 2}));
    }
    EXPECT((read({1, 2, 1, 2, 2, 2}, SONDE_OK) == list{2, 2}));
    MESSAGE(LIMIT, read({1, 2, 1, 2}, SONDE_LIMIT));
}

/* ---- Samplers ---------------------------------------------------------------------------------------- */

void row_samplers()
{
    const std::vector<std::int64_t> ids = {4, 9, 2};
    sonde::row_sampler sampler("random");
    EXPECT(!sampler.fitted());
    EXPECT_C_MESSAGE(STATE, sampler.draw(1));
    sampler.fit({{"ids", {ids, 1}}});
    sonde::rows drawn = sampler.draw(3);
    std::vector<std::int64_t> seen(drawn.ids.begin(), drawn.ids.end());
    std::sort(seen.begin(), seen.end());
    EXPECT((seen == std::vector<std::int64_t>{2, 4, 9}) && drawn.last && drawn.pass == 0 && drawn.groups.empty());
    EXPECT(sampler.draw(2).pass == 1);
    sampler.seek(0);
    EXPECT(sampler.draw(1).pass == 0);
    EXPECT_C_MESSAGE(UNSUPPORTED, sampler.observe({{"ids", {ids, 1}}}));
    files_of(sampler, "row_sampler");
    sonde::row_sampler other("random");
    other.fit({{"ids", {ids, 1}}});
    sampler.merge(other);
    EXPECT(sampler.draw(9).ids.size() == 6);
}

void negatives_and_losses()
{
    const std::vector<std::int64_t> positives(QUERIES, 5), asked = {3};
    sonde::row_sampler sampler("adore(depth=6)", DIM);
    sampler.fit({{"queries", query_rows()}, {"documents", base_rows()}, {"positives", {positives, 1}}});
    const sonde::rows drawn = sampler.draw_for({{"query_ids", {asked, 1}}}, 6);
    std::vector<std::int64_t> built(drawn.ids.begin(), drawn.ids.end());
    EXPECT(built.size() == 6 && std::count(built.begin(), built.end(), 5) == 0);
    EXPECT(sampler.output<std::int32_t>("ranks").rows() == 6);
    EXPECT(!MESSAGE(INVALID_ARGUMENT, sampler.output<float>("ranks")).empty());
    const sonde::index index = filled("flat(metric=ip)");
    sonde::row_sampler attached("adore(depth=6)", DIM);
    attached.attach(index);
    attached.fit({{"queries", query_rows()}, {"positives", {positives, 1}}});
    const sonde::rows same = attached.draw_for({{"query_ids", {asked, 1}}}, 6);
    EXPECT(std::equal(built.begin(), built.end(), same.ids.begin()));
    attached.detach();

    const sonde::row_sampler nbpo("nbpo(form=exact)");
    const std::vector<std::uint8_t> labels = {1, 0, 0};
    const std::vector<float> flips = {-2, -1, -3};
    const auto loss = [&](const std::vector<float> &logits, const std::vector<sonde::gradient> &gradients) {
        return nbpo.loss({{"logits", {logits, 1}}, {"flip_logits", {flips, 1}}, {"labels", {labels, 1}}}, gradients);
    };
    sonde::matrix<float> slope(3, 1);
    loss({0.3f, -0.2f, 1.0f}, {{"logits", slope}});
    const double wanted = (loss({0.31f, -0.2f, 1.0f}, {}) - loss({0.29f, -0.2f, 1.0f}, {})) / 0.02;
    EXPECT(std::abs(static_cast<double>(slope[0][0]) - wanted) < 1e-4);
}

void token_samplers()
{
    const std::vector<float> logits = {0, 3, 2, -1, 1};
    sonde::token_sampler chain("chain(top_k(k=2))", 5);
    EXPECT(chain.vocabulary() == 5);
    const sonde::candidates kept = chain.filter({logits, 5}, 3);
    EXPECT(kept.counts[0] == 2 && kept.ids[0][0] == 1 && kept.ids[0][1] == 2);
    const std::int32_t token = chain.next({logits, 5})[0];
    EXPECT(token == 1 || token == 2);
    const std::vector<std::uint8_t> mask = {8};
    const std::vector<std::int64_t> sequences = {77};
    const sonde::view allowed = sonde::view::bits(mask.data(), 1, 5);
    sonde::token_options how;
    how.allowed = &allowed;
    how.sequences = sequences.data();
    const sonde::drawn_tokens drawn = chain.sample({logits, 5}, how);
    EXPECT(drawn.ids[0] == 3 && drawn.survivors[0] == 1 && drawn.log_probs[0] == 0);
    chain.accept(77, drawn.ids);
    files_of(chain, "token_sampler");
    chain.reset();
    EXPECT_C_MESSAGE(UNSUPPORTED, chain.draft());
}

void drafts()
{
    sonde::token_sampler rule("speculative(verify=single, draft=iid, depth=3, width=1)", 4);
    const auto flat = [](const sonde::draft_tree &, sonde::matrix_view<float> out) {
        for (std::int64_t i = 0; i < out.rows() * out.cols(); i++) out.data()[i] = 0;
    };
    const sonde::draft_tree tree = rule.draft_run(flat);
    EXPECT(tree.tokens.size() == 3 && tree.parents[0] == -1 && tree.parents[2] == 1 && tree.frontier.empty());
    const std::vector<float> target(16, 0.0f);
    EXPECT(rule.verify({target, 4}).path.size() == 3); /* equal laws accept everything */
    sonde::draft_tree by_hand = rule.draft();
    const std::vector<float> row(4, 0.0f);
    while (!by_hand.frontier.empty()) by_hand = rule.draft({row, 4});
    EXPECT(by_hand.tokens.size() == 3);
    const std::vector<std::int32_t> tokens(by_hand.tokens.begin(), by_hand.tokens.end());
    const std::vector<std::int64_t> parents = {-1, 0, 1};
    const sonde::draft_tree mine = {tokens, parents, {}};
    EXPECT(rule.verify({target, 4}, {target, 4}, mine).path.size() == 3);
    const std::vector<float> p = {0.5f, 0.5f, 0, 0}, q(4, 0.25f);
    EXPECT(std::abs(rule.accept_rate("single", {p, 4}, {q, 4}, 1) - 0.5) < 1e-9);
    bool thrown = false;
    try {
        rule.draft_run([](const sonde::draft_tree &, sonde::matrix_view<float>) { throw 7; });
    } catch (int seven) {
        thrown = seven == 7;
    }
    EXPECT(thrown);
}

void path_samplers()
{
    const std::vector<float> x = numbers(2 * 3, 9);
    const auto model = [](const sonde::ask &at, sonde::matrix_view<float> out) {
        for (int i = 0; i < 6; i++) out.data()[i] = std::tanh(at.x.data()[i]) * static_cast<float>(at.t);
    };
    sonde::path_sampler solver("ddim(eta=1, schedule=vp(steps=7))", 3);
    sonde::matrix<float> ran(2, 3), told(2, 3);
    std::copy(x.begin(), x.end(), ran.data());
    solver.run(ran, model);
    solver.start({x, 3});
    for (sonde::ask at = solver.ask(); !at.done; at = solver.ask()) {
        model(at, told);
        solver.tell(told);
    }
    const sonde::matrix_view<const float> state = solver.output("state");
    EXPECT(std::equal(state.data(), state.data() + 6, ran.data()));
    const std::vector<sonde::path_node> nodes = solver.nodes();
    EXPECT(nodes.size() > 7 && nodes[0].lambda < nodes[1].lambda);
    files_of(solver, "path_sampler");
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, solver.start({x, 2}));
    bool thrown = false;
    try {
        solver.run(ran, [](const sonde::ask &, sonde::matrix_view<float>) { throw 7; });
    } catch (int seven) {
        thrown = seven == 7;
    }
    EXPECT(thrown);
}

/* ---- Quantizer, transform, merging ------------------------------------------------------------------- */

void quantizers()
{
    sonde::quantizer quantizer("pq(m=4, bits=4)", DIM);
    EXPECT(!quantizer.trained());
    quantizer.train({{"vectors", base_rows()}});
    EXPECT(quantizer.trained() && quantizer.dim() == DIM && quantizer.code_bytes() == 2);
    const sonde::matrix<std::uint8_t> codes = quantizer.encode(base_rows());
    EXPECT(codes.rows() == ROWS && codes.cols() == 2);
    std::vector<std::uint8_t> raw(ROWS * 2);
    sonde_array out = sonde_u8(raw.data(), ROWS, 2);
    EXPECT(sonde_quantizer_encode(quantizer.c_handle(), &base_rows().c_array(), &out) == SONDE_OK);
    EXPECT(codes.values() == raw);

    const sonde::matrix<float> decoded = quantizer.decode(codes);
    const sonde::matrix<float> scores = quantizer.distances(sonde::metric::l2, query_rows(), codes);
    EXPECT(scores.rows() == QUERIES && scores.cols() == ROWS);
    for (std::int64_t row : {0, 17, 2999}) {
        double sum = 0;
        for (std::size_t i = 0; i < DIM; i++) sum += std::pow(queries[i] - decoded[row][i], 2);
        EXPECT(std::fabs(scores[0][static_cast<std::size_t>(row)] - sum) < 1e-4);
    }
    std::vector<float> narrow(ROWS * DIM - DIM);
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, quantizer.decode_into(codes, {narrow, DIM}));
    EXPECT_C_MESSAGE(UNSUPPORTED, quantizer.distances(sonde::metric::hamming, query_rows(), codes));
    EXPECT_C_MESSAGE(UNSUPPORTED, quantizer.bounds(sonde::metric::l2, query_rows(), codes));
    EXPECT_C_MESSAGE(UNSUPPORTED, quantizer.cluster(base_rows()));
    const sonde::matrix<float> among = quantizer.code_distances(sonde::metric::l2, codes, codes);
    double sum = 0;
    for (std::size_t i = 0; i < DIM; i++) sum += std::pow(decoded[3][i] - decoded[2000][i], 2);
    EXPECT(std::fabs(among[3][2000] - sum) < 1e-4 && among[3][2000] == among[2000][3]);
}

void quantizers_that_watch_a_stream()
{
    sonde::quantizer whole("pq(m=4, bits=4)", DIM), pieces("pq(m=4, bits=4)", DIM);
    whole.train(base_rows());
    pieces.observe(base_rows().slice(0, 1000));
    pieces.observe(base_rows().slice(1000, 2000));
    pieces.train_observed();
    EXPECT(pieces.to_bytes() == whole.to_bytes()); /* all fit into the sample */
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, whole.observe({base, 5}));
}

void clusters()
{
    sonde::quantizer kmeans("kmeans(k=10, balance=capacity)", DIM);
    const std::vector<std::int32_t> labels = kmeans.cluster(base_rows());
    for (std::int32_t group = 0; group < 10; group++) EXPECT(std::count(labels.begin(), labels.end(), group) == 300);
    const auto centroids = kmeans.output<float>("centroids");
    EXPECT(centroids.rows() == 10 && centroids.cols() == DIM);
    const std::vector<std::uint8_t> fourth = {4};
    const sonde::matrix<float> decoded = kmeans.decode({fourth, 1}); /* the code of a row is its group */
    EXPECT(std::equal(centroids[4].begin(), centroids[4].end(), decoded[0].begin()));
    EXPECT(kmeans.output<std::int64_t>("sizes")[9][0] == 300);
    EXPECT_C_MESSAGE(NOT_FOUND, kmeans.output<float>("centres"));

    const std::vector<float> masses = {0.55f, 0.05f, 0.05f, 0.05f, 0.05f, 0.05f, 0.05f, 0.05f, 0.05f, 0.05f};
    sonde::quantizer sinkhorn("kmeans(k=10, balance=sinkhorn)", DIM);
    const std::vector<std::int32_t> shares = sinkhorn.cluster(base_rows(), {{"masses", {masses, 1}}});
    EXPECT(std::fabs(static_cast<double>(std::count(shares.begin(), shares.end(), 0)) / ROWS - 0.55) < 0.05);
}

void bounds_of_scores()
{
    sonde::quantizer rabitq("rabitq(bits=2)", DIM);
    rabitq.train(base_rows());
    const sonde::bounds found = rabitq.bounds(sonde::metric::l2, query_rows(), rabitq.encode(base_rows()));
    int held = 0;
    for (std::int64_t q = 0; q < QUERIES; q++)
        for (std::int64_t r = 0; r < ROWS; r++) {
            double truth = 0;
            for (std::int64_t i = 0; i < DIM; i++) {
                const auto at = static_cast<std::size_t>(i);
                truth += std::pow(queries[static_cast<std::size_t>(q * DIM) + at] -
                                      base[static_cast<std::size_t>(r * DIM) + at], 2);
            }
            const auto column = static_cast<std::size_t>(r);
            held += std::fabs(found.scores[q][column] - truth) <= found.errors[q][column];
        }
    EXPECT(held > 0.998 * QUERIES * ROWS);
}

/* ---- Trie -------------------------------------------------------------------------------------------- */

const std::vector<std::int32_t> id_rows = {3, 1, 4, 3, 1, -1, 3, 1, 4, 2, 7, -1};

sonde::trie filled_trie()
{
    const std::vector<std::int64_t> ids = {10, 11, 12, 13};
    sonde::trie trie("trie", 3);
    trie.add({id_rows, 3}, ids);
    return trie;
}

void tries()
{
    using codes = std::vector<std::int32_t>;
    const sonde::trie trie = filled_trie();
    EXPECT(trie.size() == 4 && trie.length() == 3);
    EXPECT((trie.children({}) == codes{2, 3} && trie.children(codes{3, 1}) == codes{4}));
    EXPECT((trie.lookup(codes{3, 1, 4}) == std::vector<std::int64_t>{10, 12}) && trie.lookup(codes{3}).empty());
    const codes prefixes = {3, 1, -1, -1};
    std::vector<float> logits(16);
    trie.mask({prefixes, 2}, {logits, 8}, 6);
    for (std::size_t i = 0; i < 16; i++) EXPECT((logits[i] == 0) == (i == 4 || i == 6 || i == 10 || i == 11));
    sonde::trie counted("trie", 3);
    counted.add({id_rows, 3});
    EXPECT((counted.lookup(codes{2, 7}) == std::vector<std::int64_t>{3}));
    const std::vector<std::int64_t> one = {1};
    MESSAGE(INVALID_ARGUMENT, counted.add({id_rows, 3}, one));
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, counted.add({id_rows, 4}));
    files_of(trie, "trie");
    moves(filled_trie());
}

void beam_search()
{
    const sonde::trie trie = filled_trie();
    const auto score = [](sonde::matrix_view<const std::int32_t> prefixes, sonde::matrix_view<float> out) {
        EXPECT(prefixes.rows() == out.rows() && out.cols() == 8);
        for (std::int64_t row = 0; row < out.rows(); row++)
            for (std::size_t code = 0; code < 8; code++) out[row][code] = -static_cast<float>(code);
    };
    const sonde::trie_hits hits = trie.search(sonde::trie_search(10), score);
    EXPECT((hits.sequences.values() == std::vector<std::int32_t>{3, 1, -1, 3, 1, 4, 2, 7, -1}));
    EXPECT((hits.ids == std::vector<std::int64_t>{11, 10, 13} && hits.scores == std::vector<float>{-4, -8, -9}));
    const auto flat = [](sonde::matrix_view<const std::int32_t>, sonde::matrix_view<float> out) {
        for (std::int64_t row = 0; row < out.rows(); row++) std::fill(out[row].begin(), out[row].end(), 0.0f);
    };
    const auto masked = trie.search(sonde::trie_search(1).scale(sonde::trie_scale::masked), flat);
    EXPECT(masked.scores.size() == 1 && std::fabs(masked.scores[0] - std::log(0.5f)) < 1e-6f);
    const auto how = sonde::trie_search(2).scale(sonde::trie_scale::logits).end(8).vocabulary(9);
    EXPECT(std::fabs(trie.search(how, flat).scores[0] + 3 * std::log(9.0f)) < 1e-5f);
    EXPECT(sonde::trie("trie", 3).search(sonde::trie_search(4), flat).ids.empty());
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, trie.search(sonde::trie_search(0), flat));
    struct broken {};
    bool came = false;
    try {
        trie.search(sonde::trie_search(2), [](const auto &, const auto &) { throw broken(); });
    } catch (const broken &) {
        came = true;
    }
    EXPECT(came);
}

void ids_that_differ()
{
    sonde::quantizer rkmeans("rkmeans(levels=2, codes=16)", DIM);
    rkmeans.train(base_rows());
    const auto sequences = rkmeans.output<std::int32_t>("sequences");
    for (const auto &unique : {sonde::unique_sequences(sequences),
                               sonde::unique_sequences(sequences, rkmeans, base_rows())}) {
        std::set<std::vector<std::int32_t>> seen;
        for (std::int64_t row = 0; row < ROWS; row++) seen.insert({unique[row].begin(), unique[row].end()});
        EXPECT(unique.cols() == 3 && seen.size() == static_cast<std::size_t>(ROWS));
    }
}

void transforms()
{
    sonde::transform pca("pca(dim=4)", DIM);
    EXPECT(!pca.trained() && pca.dim() == DIM);
    pca.train(base_rows());
    EXPECT(pca.trained() && pca.dim_out() == 4 && pca.apply(query_rows()).cols() == 4);

    const sonde::transform rotation("rotation(seed=3)", DIM);
    const sonde::matrix<float> turned = rotation.apply(query_rows());
    std::vector<float> raw(QUERIES * DIM);
    sonde_array out = sonde_f32(raw.data(), QUERIES, DIM);
    EXPECT(sonde_transform_apply(rotation.c_handle(), &query_rows().c_array(), &out) == SONDE_OK);
    EXPECT(turned.values() == raw);
    const sonde::matrix<float> back = rotation.apply_inverse(turned);
    for (std::size_t i = 0; i < queries.size(); i++) EXPECT(std::fabs(back.values()[i] - queries[i]) < 1e-5f);
}

void merged_shards_equal_the_whole()
{
    std::vector<sonde::hits> parts;
    for (std::int64_t first : {0, 1000, 2000}) {
        sonde::index shard("flat", DIM);
        std::vector<std::int64_t> ids(1000);
        for (std::size_t i = 0; i < 1000; i++) ids[i] = first + static_cast<std::int64_t>(i);
        shard.add(base_rows().slice(first, 1000), ids);
        parts.push_back(shard.search(query_rows(), sonde::search().k(8).recall(1)));
    }
    const sonde::hits merged = sonde::topk_merge(sonde::metric::l2, parts, 8);
    const sonde::hits whole = filled().search(query_rows(), sonde::search().k(8).recall(1));
    EXPECT(merged.ids == whole.ids && merged.scores == whole.scores && merged.count == whole.count);
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, sonde::topk_merge(static_cast<sonde::metric>(9), parts, 8));
    parts.push_back(filled().search(query_rows().slice(0, 2)));
    EXPECT(MESSAGE(INVALID_ARGUMENT, sonde::topk_merge(sonde::metric::l2, parts, 8)) ==
           "topk_merge: a part has 2 queries, the first one has 7");
}

/* ---- Catalogue --------------------------------------------------------------------------------------- */

void catalogue()
{
    const std::vector<sonde::method_info> methods = sonde::methods();
    EXPECT(methods.size() >= 9);
    for (const sonde::method_info &method : methods) {
        EXPECT(sonde::keys(method.noun, method.name).size() == method.key_count);
        EXPECT(sonde::inputs(method.noun, method.name).size() == method.input_count);
        EXPECT(sonde::describe(method.noun, method.name).find(method.summary) != std::string::npos);
    }
    EXPECT_C_MESSAGE(NOT_FOUND, sonde::describe("index", "falt"));
    EXPECT_C_MESSAGE(NOT_FOUND, sonde::keys("index", "falt"));
    EXPECT_C_MESSAGE(NOT_FOUND, sonde::inputs("indx", "flat"));
    EXPECT(sonde::spec_check("index", "flat") == sonde::index("flat", DIM).spec());
    EXPECT_C_MESSAGE(INVALID_ARGUMENT, sonde::spec_check("index", "flat(metric=l3)"));
    EXPECT(std::string(sonde::version()) == sonde_version());
    EXPECT(std::string(sonde::build_info()).find("isa=") != std::string::npos);
}

struct test {
    const char *name;
    void (*run)();
};

#define TEST(name) {#name, name}
constexpr test tests[] = {
    TEST(views), TEST(matrices), TEST(search_equals_c), TEST(search_into_small_buffers), TEST(hits_are_ranges),
    TEST(hits_memory_is_used_again), TEST(range_search), TEST(ids_and_rows), TEST(bits),
    TEST(train_compact_merge_check), TEST(tune), TEST(about_an_index), TEST(filters),
    TEST(filters_share_their_data), TEST(one_filter_a_query), TEST(filter_that_throws),
    TEST(the_first_exception_counts), TEST(search_within_a_filter), TEST(progress),
    TEST(callables_live_as_long_as_handles), TEST(memory_resources), TEST(many_handles_leave_nothing),
    TEST(runtimes), TEST(cancel_from_another_thread), TEST(handles_move), TEST(empty_handles_throw),
    TEST(c_messages_unchanged), TEST(errors_have_one_base), TEST(files), TEST(mapped_index_is_read_only),
    TEST(bytes_while_another_thread_adds), TEST(lists_that_change_while_they_are_read), TEST(quantizers),
    TEST(quantizers_that_watch_a_stream), TEST(clusters), TEST(bounds_of_scores), TEST(tries), TEST(beam_search),
    TEST(ids_that_differ), TEST(transforms), TEST(merged_shards_equal_the_whole), TEST(row_samplers),
    TEST(negatives_and_losses), TEST(token_samplers), TEST(drafts), TEST(path_samplers), TEST(catalogue)};

} // namespace

int main()
{
    int failed = 0;
    for (const test &each : tests) {
        const int before = failures;
        try {
            each.run();
        } catch (const std::exception &error) {
            expect(false, error.what(), __LINE__);
        }
        std::printf("%s %s\n", failures == before ? "ok    " : "FAILED", each.name);
        std::fflush(stdout);
        failed += failures != before;
    }
    std::printf("%zu tests, %d failed\n", std::size(tests), failed);
    return failed != 0;
}
