/* sonde.hpp: Sonde for C++17 and later: handles that free themselves, exceptions, containers and callables.
 *
 * Header-only over <sonde.h>: everything is inline, so it adds no symbol, and programs that do not want it ignore it.
 * Each member calls the C function of the same name; the C headers say what it does, what it costs, and which calls
 * may run at the same time (const members are class A, the others B, C or S). bindings/cpp/README.md is the short tour.
 *
 * Three rules hold everywhere:
 *   - Failures throw sonde::error (below), with the message of the C library unchanged.
 *   - Handles are move-only. A handle that is empty (default-constructed, or moved from) throws sonde::wrong_state.
 *   - An exception in a callback stops the call and comes out of it, as if the library were not in between.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_HPP
#define SONDE_HPP

#include <sonde.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <memory_resource>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#if __has_include(<version>)
#include <version>
#endif
#ifdef __cpp_lib_span
#include <span>
#endif

namespace sonde {

/* ---- Errors ------------------------------------------------------------------------------------------ */

/* Every failure is a sonde::error; what() is the C message. Each status has a class of its own, for catch clauses.
 * They have std::runtime_error as their only standard base: with std::bad_alloc as a second one, a
 * catch (const std::exception &) would be ambiguous and miss them. */
class error : public std::runtime_error {
public:
    error(sonde_status status, const std::string &message) : std::runtime_error(message), status_(status) {}
    sonde_status status() const noexcept { return status_; }

private:
    sonde_status status_;
};

template <sonde_status Status> class status_error : public error {
public:
    explicit status_error(const std::string &message) : error(Status, message) {}
};

using invalid_argument = status_error<SONDE_INVALID_ARGUMENT>;
using out_of_memory = status_error<SONDE_OUT_OF_MEMORY>;
using limit_exceeded = status_error<SONDE_LIMIT>;
using io_error = status_error<SONDE_IO>;
using not_found = status_error<SONDE_NOT_FOUND>;
using corrupt = status_error<SONDE_CORRUPT>;
using unsupported = status_error<SONDE_UNSUPPORTED>;
using incompatible = status_error<SONDE_INCOMPATIBLE>;
using wrong_state = status_error<SONDE_STATE>;
using cancelled = status_error<SONDE_CANCELLED>;
using callback_failed = status_error<SONDE_CALLBACK>;
using internal_error = status_error<SONDE_INTERNAL>;

/* Throws the class of a status. */
[[noreturn]] inline void raise(sonde_status status, const std::string &message)
{
    switch (status) {
#define SONDE_RAISE(value, name, text) case SONDE_##name: throw status_error<SONDE_##name>(message);
        SONDE_STATUS_LIST(SONDE_RAISE)
#undef SONDE_RAISE
    default: throw error(status, message);
    }
}

namespace detail {

/* What a callback threw on this thread, until the C call that it interrupted has returned. */
inline std::exception_ptr &pending() noexcept
{
    static thread_local std::exception_ptr thrown;
    return thrown;
}

/* Runs a callback's body. No exception may cross C: it waits in pending(), and the library is told to stop. */
template <class Body> int guarded(int stop, Body body) noexcept
{
    if (pending()) return stop;
    try {
        return body();
    } catch (...) {
        pending() = std::current_exception();
        return stop;
    }
}

} // namespace detail

/* Turns the result of a C call into an exception, for programs that mix both interfaces. What a callback threw comes
 * before the status, which says only that a callback failed. */
inline void check(sonde_status status)
{
    if (detail::pending()) std::rethrow_exception(std::exchange(detail::pending(), nullptr));
    if (status != SONDE_OK) raise(status, sonde_error_message());
}

inline const char *status_name(sonde_status status) noexcept { return sonde_status_name(status); }
inline const char *status_text(sonde_status status) noexcept { return sonde_status_text(status); }
inline const char *version() noexcept { return sonde_version(); }
inline const char *build_info() noexcept { return sonde_build_info(); }

/* ---- Views and matrices ------------------------------------------------------------------------------ */

#ifdef __cpp_lib_span
template <class T> using span = std::span<T>;
#else
/* The part of std::span that this header uses, until the compiler has it. */
template <class T> class span {
public:
    constexpr span() noexcept = default;
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <class Container, class From = std::remove_pointer_t<decltype(std::data(std::declval<Container &>()))>,
              class = std::enable_if_t<std::is_convertible_v<From (*)[], T (*)[]>>>
    constexpr span(Container &&from) : data_(std::data(from)), size_(std::size(from)) {}

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](std::size_t i) const { return data_[i]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};
#endif

/* The dtype of a C++ element type. */
template <class T> struct dtype_of;
template <> struct dtype_of<float> : std::integral_constant<std::uint32_t, SONDE_DTYPE_F32> {};
template <> struct dtype_of<std::int8_t> : std::integral_constant<std::uint32_t, SONDE_DTYPE_I8> {};
template <> struct dtype_of<std::uint8_t> : std::integral_constant<std::uint32_t, SONDE_DTYPE_U8> {};
template <> struct dtype_of<std::int32_t> : std::integral_constant<std::uint32_t, SONDE_DTYPE_I32> {};
template <> struct dtype_of<std::int64_t> : std::integral_constant<std::uint32_t, SONDE_DTYPE_I64> {};

namespace detail {

inline std::int64_t rows_in(std::size_t values, std::int64_t cols)
{
    const auto size = static_cast<std::int64_t>(values);
    if (cols < 1 || size % cols != 0)
        raise(SONDE_INVALID_ARGUMENT,
              "view: " + std::to_string(size) + " values do not fill rows of " + std::to_string(cols) + " columns");
    return size / cols;
}

inline sonde_array array(std::uint32_t dtype, const void *data, std::int64_t rows, std::int64_t cols,
                         std::int64_t stride_bytes)
{
    sonde_array view = sonde_array_of(dtype, data, rows, cols);
    if (stride_bytes != 0) view.stride = stride_bytes;
    return view;
}

} // namespace detail

/* A borrowed row-major matrix of T, for results in memory of your own. The stride is in bytes; 0 = packed rows. */
template <class T> class matrix_view {
public:
    matrix_view(T *data, std::int64_t rows, std::int64_t cols, std::int64_t stride_bytes = 0)
        : array_(detail::array(dtype_of<std::remove_const_t<T>>::value, data, rows, cols, stride_bytes))
    {
    }
    matrix_view(span<T> values, std::int64_t cols)
        : matrix_view(values.data(), detail::rows_in(values.size(), cols), cols)
    {
    }

    T *data() const noexcept { return static_cast<T *>(array_.data); }
    std::int64_t rows() const noexcept { return array_.rows; }
    std::int64_t cols() const noexcept { return array_.cols; }
    std::int64_t stride_bytes() const noexcept { return array_.stride; }
    const sonde_array &c_array() const noexcept { return array_; }

    span<T> operator[](std::int64_t row) const
    {
        using byte = std::conditional_t<std::is_const_v<T>, const char, char>;
        auto *first = reinterpret_cast<byte *>(data()) + row * array_.stride;
        return {reinterpret_cast<T *>(first), static_cast<std::size_t>(array_.cols)};
    }

private:
    sonde_array array_;
};

/* A row-major matrix that owns its values: what encode, decode, apply, get and distances return. */
template <class T> class matrix {
public:
    matrix() = default;
    matrix(std::int64_t rows, std::int64_t cols)
        : values_(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols)), rows_(rows), cols_(cols)
    {
    }

    T *data() noexcept { return values_.data(); }
    const T *data() const noexcept { return values_.data(); }
    std::size_t size() const noexcept { return values_.size(); }
    std::int64_t rows() const noexcept { return rows_; }
    std::int64_t cols() const noexcept { return cols_; }
    const std::vector<T> &values() const noexcept { return values_; }

    span<T> operator[](std::int64_t row) { return matrix_view<T>(*this)[row]; }
    span<const T> operator[](std::int64_t row) const { return matrix_view<const T>(*this)[row]; }
    operator matrix_view<T>() { return {data(), rows_, cols_}; }
    operator matrix_view<const T>() const { return {data(), rows_, cols_}; }

private:
    std::vector<T> values_;
    std::int64_t rows_ = 0;
    std::int64_t cols_ = 0;
};

/* Borrowed rows of any dtype, which the library reads: what every function takes. Write it in place, as in
 * index.add({vectors, 384}), from a container of float, int8, uint8, ... or from pointer, rows, columns and stride. */
class view {
public:
    template <class T, std::uint32_t Dtype = dtype_of<T>::value>
    view(const T *data, std::int64_t rows, std::int64_t cols, std::int64_t stride_bytes = 0)
        : array_(detail::array(Dtype, data, rows, cols, stride_bytes))
    {
    }
    template <class Container, class T = std::remove_cv_t<std::remove_pointer_t<
                                   decltype(std::data(std::declval<const Container &>()))>>,
              std::uint32_t = dtype_of<T>::value>
    view(const Container &values, std::int64_t cols)
        : view(std::data(values), detail::rows_in(std::size(values), cols), cols)
    {
    }
    template <class T> view(const matrix_view<T> &rows) : array_(rows.c_array()) {}
    template <class T> view(const matrix<T> &rows) : view(rows.data(), rows.rows(), rows.cols()) {}
    explicit view(const sonde_array &array)
        : array_(detail::array(array.dtype, array.data, array.rows, array.cols, array.stride))
    {
    }

    /* C++17 has no type for these three: half precision, bfloat16, and bits packed eight to a byte. */
    static view f16(const std::uint16_t *data, std::int64_t rows, std::int64_t cols, std::int64_t stride_bytes = 0)
    {
        return view(detail::array(SONDE_DTYPE_F16, data, rows, cols, stride_bytes));
    }
    static view bf16(const std::uint16_t *data, std::int64_t rows, std::int64_t cols, std::int64_t stride_bytes = 0)
    {
        return view(detail::array(SONDE_DTYPE_BF16, data, rows, cols, stride_bytes));
    }
    static view bits(const std::uint8_t *data, std::int64_t rows, std::int64_t bits, std::int64_t stride_bytes = 0)
    {
        return view(detail::array(SONDE_DTYPE_BITS, data, rows, bits, stride_bytes));
    }

    std::int64_t rows() const noexcept { return array_.rows; }
    std::int64_t cols() const noexcept { return array_.cols; }
    const sonde_array &c_array() const noexcept { return array_; }

    /* `count` rows from row `first` on. */
    view slice(std::int64_t first, std::int64_t count) const
    {
        if (first < 0 || count < 0 || first > rows() - count)
            raise(SONDE_INVALID_ARGUMENT, "view: rows " + std::to_string(first) + " to " +
                                              std::to_string(first + count) + " of " + std::to_string(rows()));
        view part = *this;
        part.array_.data = static_cast<char *>(array_.data) + first * array_.stride;
        part.array_.rows = count;
        return part;
    }

private:
    sonde_array array_;
};

/* A named input of train, fit, draw_for, observe or loss, such as {"vectors", {x, 384}}. */
struct input {
    const char *name;
    view rows;
};

enum class metric : std::uint32_t {
    l2 = SONDE_METRIC_L2,
    ip = SONDE_METRIC_IP,
    cosine = SONDE_METRIC_COSINE,
    hamming = SONDE_METRIC_HAMMING
};

/* ---- Handles ----------------------------------------------------------------------------------------- */

namespace detail {

/* Owns one C handle. Functions names the noun and its C functions. What the handle's callbacks need is kept alive with
 * it, in the deleter, so that even the handle's last words reach a living object. */
template <class Functions> class handle {
public:
    using c_type = typename Functions::type;

    explicit operator bool() const noexcept { return static_cast<bool>(owned_); }

    /* For calls to the C library: never NULL, and still owned by this object. */
    c_type *c_handle() const
    {
        if (!owned_)
            raise(SONDE_STATE, std::string(Functions::noun) + ": this handle is empty (never filled, or moved from)");
        return owned_.get();
    }

protected:
    handle() = default;

    /* Takes what `call` makes, before anything can throw. */
    template <class Call> void adopt(Call call, std::shared_ptr<const void> keep)
    {
        c_type *made = nullptr;
        const sonde_status status = call(&made);
        owned_ = {made, deleter{std::move(keep)}};
        check(status);
    }
    const std::shared_ptr<const void> &kept() const noexcept { return owned_.get_deleter().keep; }

private:
    struct deleter {
        std::shared_ptr<const void> keep;
        void operator()(c_type *owned) const noexcept
        {
            Functions::free(owned);
            pending() = nullptr; /* a destructor cannot throw what a callback threw */
        }
    };
    std::unique_ptr<c_type, deleter> owned_;
};

/* Calls a C function that writes a list into `capacity` elements and tells the length of the whole: to measure, to
 * read, and again if another thread made it longer in between (LIMIT from some functions, OK from others). */
template <class Element, class Length, class Write> std::vector<Element> read_all(Write write)
{
    std::vector<Element> all;
    for (;;) {
        Length length = 0;
        check(write(nullptr, Length(0), &length));
        const bool grew = static_cast<std::size_t>(length) > all.size();
        if (grew) all.resize(static_cast<std::size_t>(length));
        if (all.empty()) return all;
        const sonde_status status = write(all.data(), static_cast<Length>(all.size()), &length);
        if (status == SONDE_LIMIT && grew) continue; /* another limit would stay the same */
        check(status);
        if (static_cast<std::size_t>(length) > all.size()) continue;
        all.resize(static_cast<std::size_t>(length));
        return all;
    }
}

/* The same for text, which does not grow; its length is without the zero byte that C writes at the end. */
template <class Write> std::string read_text(Write write)
{
    std::size_t length = 0;
    check(write(nullptr, std::size_t(0), &length));
    std::string text(length + 1, '\0');
    check(write(text.data(), text.size(), &length));
    text.resize(length);
    return text;
}

/* The functions that tell the position-th of something, NOT_FOUND past the end. */
template <class Info, class At> std::vector<Info> read_each(const Info &blank, At at)
{
    std::vector<Info> all;
    for (std::uint32_t position = 0;; position++) {
        Info info = blank;
        const sonde_status status = at(position, &info);
        if (status == SONDE_NOT_FOUND) return all;
        check(status);
        all.push_back(info);
    }
}

struct runtime_functions {
    using type = sonde_runtime;
    static constexpr const char *noun = "runtime";
    static constexpr auto free = sonde_runtime_free;
};

struct range_hits_functions {
    using type = sonde_range_hits;
    static constexpr const char *noun = "range_hits";
    static constexpr auto free = sonde_range_hits_free;
};

/* The C functions that all nouns made from specs have; `width` is the one that tells the values of a row. */
#define SONDE_NOUN(name, width)                                  \
    using type = sonde_##name;                                   \
    static constexpr const char *noun = #name;                   \
    static constexpr auto create = sonde_##name##_create;        \
    static constexpr auto dim = sonde_##name##_##width;          \
    static constexpr auto spec = sonde_##name##_spec;            \
    static constexpr auto save = sonde_##name##_save;            \
    static constexpr auto open = sonde_##name##_open;            \
    static constexpr auto save_buffer = sonde_##name##_save_buffer; \
    static constexpr auto open_buffer = sonde_##name##_open_buffer; \
    static constexpr auto free = sonde_##name##_free

struct index_functions {
    SONDE_NOUN(index, dim);
    static constexpr auto train = sonde_index_train;
};
struct quantizer_functions {
    SONDE_NOUN(quantizer, dim);
    static constexpr auto train = sonde_quantizer_train;
};
struct trie_functions {
    SONDE_NOUN(trie, length);
};
struct transform_functions {
    SONDE_NOUN(transform, dim);
    static constexpr auto train = sonde_transform_train;
};
struct row_sampler_functions {
    SONDE_NOUN(row_sampler, dim);
};
struct token_sampler_functions {
    SONDE_NOUN(token_sampler, vocabulary);
};
struct path_sampler_functions {
    SONDE_NOUN(path_sampler, dim);
};
#undef SONDE_NOUN

} // namespace detail

/* ---- Runtime ----------------------------------------------------------------------------------------- */

enum class log_level : std::uint32_t { info = SONDE_LOG_INFO, warning = SONDE_LOG_WARNING };

/* runtime_options().threads(2).progress(...), each setting as in sonde_runtime_options. Callables are copied, and live
 * as long as the last handle that uses the runtime. What they throw comes out of the call that they were called from;
 * only progress can stop it before its end. */
class runtime_options {
public:
    using progress_function = std::function<bool(std::string_view stage, std::uint64_t done, std::uint64_t total)>;
    using log_function = std::function<void(log_level level, std::string_view text)>;

    runtime_options &threads(std::uint32_t most) { options_.threads = most; return *this; }
    runtime_options &memory_limit(std::uint64_t bytes) { options_.memory_limit = bytes; return *this; }
    /* true = go on, false = cancel (the call throws sonde::cancelled). */
    runtime_options &progress(progress_function call) { progress_ = std::move(call); return *this; }
    runtime_options &log(log_function call) { log_ = std::move(call); return *this; }
    /* Where memory comes from, instead of the C library. Borrowed: it must outlive the runtime and its handles, and
     * stand calls from several threads. What it throws becomes sonde::out_of_memory. */
    runtime_options &memory(std::pmr::memory_resource &resource) { memory_ = &resource; return *this; }

private:
    friend class runtime;

    /* What C reads: callbacks that find their callables in *this. */
    sonde_runtime_options c_options() const
    {
        sonde_runtime_options options = options_;
        options.memory_user = memory_;
        options.progress_user = options.log_user = const_cast<runtime_options *>(this);
        if (memory_) options.alloc = allocate;
        if (memory_) options.release = release;
        if (progress_) options.progress = tell_progress;
        if (log_) options.log = tell_log;
        return options;
    }
    static void *allocate(std::size_t size, std::size_t align, void *user) noexcept
    {
        try {
            return static_cast<std::pmr::memory_resource *>(user)->allocate(size, align);
        } catch (...) {
            return nullptr;
        }
    }
    static void release(void *memory, std::size_t size, std::size_t align, void *user) noexcept
    {
        static_cast<std::pmr::memory_resource *>(user)->deallocate(memory, size, align);
    }
    static int tell_progress(const char *stage, std::uint64_t done, std::uint64_t total, void *user) noexcept
    {
        const auto *self = static_cast<const runtime_options *>(user);
        return detail::guarded(1, [&] { return self->progress_(stage, done, total) ? 0 : 1; });
    }
    static void tell_log(std::uint32_t level, const char *text, void *user) noexcept
    {
        const auto *self = static_cast<const runtime_options *>(user);
        detail::guarded(0, [&] {
            self->log_(static_cast<log_level>(level), text);
            return 0;
        });
    }

    sonde_runtime_options options_ = SONDE_RUNTIME_OPTIONS_INIT;
    progress_function progress_;
    log_function log_;
    std::pmr::memory_resource *memory_ = nullptr;
};

/* Threads, memory, progress and cancellation that handles share. Handles keep what they need of it alive. */
class runtime : public detail::handle<detail::runtime_functions> {
public:
    struct memory_use {
        std::uint64_t used_bytes;
        std::uint64_t peak_bytes;
    };

    explicit runtime(const runtime_options &options = {})
    {
        auto kept = std::make_shared<const runtime_options>(options);
        const sonde_runtime_options how = kept->c_options();
        adopt([&](sonde_runtime **made) { return sonde_runtime_create(&how, made); }, kept);
    }

    void cancel() const { sonde_runtime_cancel(c_handle()); }
    void resume() const { sonde_runtime_resume(c_handle()); }
    memory_use memory() const
    {
        memory_use use{};
        check(sonde_runtime_memory(c_handle(), &use.used_bytes, &use.peak_bytes));
        return use;
    }

private:
    friend class runtime_ref;
};

/* A runtime, or {} for the defaults: what functions that make a handle take. */
class runtime_ref {
public:
    runtime_ref() = default;
    runtime_ref(const runtime &from) : runtime_(from.c_handle()), keep_(from.kept()) {}

    sonde_runtime *c_handle() const noexcept { return runtime_; }
    const std::shared_ptr<const void> &kept() const noexcept { return keep_; }

private:
    sonde_runtime *runtime_ = nullptr;
    std::shared_ptr<const void> keep_;
};

/* ---- What index, quantizer and transform share ------------------------------------------------------- */

/* open_options().mmap().max_bytes(1 << 30), as in sonde_open_options. */
class open_options {
public:
    open_options &mmap() { options_.mode = SONDE_OPEN_MMAP; return *this; }
    open_options &verify_full() { options_.verify = SONDE_VERIFY_FULL; return *this; }
    open_options &verify_fast() { options_.verify = SONDE_VERIFY_FAST; return *this; }
    open_options &max_bytes(std::uint64_t bytes) { options_.max_bytes = bytes; return *this; }
    const sonde_open_options &c_options() const noexcept { return options_; }

private:
    sonde_open_options options_ = SONDE_OPEN_OPTIONS_INIT;
};

namespace detail {

template <class Self, class Functions> class model : public handle<Functions> {
public:
    std::int64_t dim() const { return Functions::dim(this->c_handle()); }
    std::string spec() const { return Functions::spec(this->c_handle()); }

    void save(const std::string &path) const { check(Functions::save(this->c_handle(), path.c_str())); }
    static Self open(const std::string &path, const open_options &how = {}, const runtime_ref &on = {})
    {
        return made(on, [&](auto **into) {
            return Functions::open(path.c_str(), &how.c_options(), on.c_handle(), into);
        });
    }

    /* The bytes of the file, in memory. */
    std::vector<std::uint8_t> to_bytes() const
    {
        return read_all<std::uint8_t, std::size_t>([&](std::uint8_t *bytes, std::size_t capacity, std::size_t *length) {
            return Functions::save_buffer(this->c_handle(), bytes, capacity, length);
        });
    }
    static Self from_bytes(span<const std::uint8_t> bytes, const open_options &how = {}, const runtime_ref &on = {})
    {
        return made(on, [&](auto **into) {
            return Functions::open_buffer(bytes.data(), bytes.size(), &how.c_options(), on.c_handle(), into);
        });
    }

protected:
    model() = default;
    model(const std::string &spec, std::int64_t dim, const runtime_ref &on)
    {
        this->adopt([&](auto **into) { return Functions::create(spec.c_str(), dim, on.c_handle(), into); },
                    on.kept());
    }

private:
    template <class Call> static Self made(const runtime_ref &on, Call call)
    {
        Self self;
        static_cast<model &>(self).adopt(call, on.kept());
        return self;
    }
};

/* A column of the library as rows of T; INVALID_ARGUMENT if it holds another type. */
template <class T> matrix_view<const T> typed(const sonde_array &column, const std::string &name)
{
    if (column.dtype != dtype_of<T>::value)
        raise(SONDE_INVALID_ARGUMENT, "output: '" + name + "' holds another type (" + std::to_string(column.dtype) + ")");
    return {static_cast<const T *>(column.data), column.rows, column.cols, column.stride};
}

/* The form of C; it points into `inputs`. */
inline std::vector<sonde_input> named(const std::vector<input> &inputs)
{
    std::vector<sonde_input> list;
    list.reserve(inputs.size());
    for (const input &given : inputs) list.push_back({given.name, &given.rows.c_array()});
    return list;
}

template <class Self, class Functions> class trained_model : public model<Self, Functions> {
public:
    void train(const std::vector<input> &inputs)
    {
        const auto list = named(inputs);
        check(Functions::train(this->c_handle(), list.data(), list.size()));
    }
    void train(const view &vectors) { train(std::vector<input>{{"vectors", vectors}}); }

protected:
    using model<Self, Functions>::model;
    trained_model() = default;
};

} // namespace detail

/* ---- Filters and search settings --------------------------------------------------------------------- */

/* Which ids a search may return; ! turns it around. It owns its data (move vectors in); copies share it. */
class filter {
public:
    /* Bit i % 8 of byte i / 8 allows id i; ids from `count` on are not allowed. */
    static filter bitmap(std::vector<std::uint8_t> bits, std::int64_t count)
    {
        if (count < 0 || static_cast<std::size_t>(count) > bits.size() * 8)
            raise(SONDE_INVALID_ARGUMENT, "filter: " + std::to_string(bits.size()) + " bytes do not hold " +
                                              std::to_string(count) + " bits");
        filter made(SONDE_FILTER_BITMAP);
        made.filter_.bits = made.keep(std::move(bits)).data();
        made.filter_.count = count;
        return made;
    }
    /* allowed[i] says whether id i is. */
    static filter mask(const std::vector<bool> &allowed)
    {
        std::vector<std::uint8_t> bits((allowed.size() + 7) / 8);
        for (std::size_t i = 0; i < allowed.size(); i++)
            if (allowed[i]) bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | 1u << i % 8);
        return bitmap(std::move(bits), static_cast<std::int64_t>(allowed.size()));
    }
    static filter ids(std::vector<std::int64_t> ascending)
    {
        filter made(SONDE_FILTER_IDS);
        made.filter_.count = static_cast<std::int64_t>(ascending.size());
        made.filter_.ids = made.keep(std::move(ascending)).data();
        return made;
    }
    static filter range(std::int64_t first, std::int64_t last)
    {
        filter made(SONDE_FILTER_RANGE);
        made.filter_.first = first;
        made.filter_.last = last;
        return made;
    }
    /* The slow one: called for each row that is looked at, on the thread that searches. It may throw. */
    static filter where(std::function<bool(std::int64_t id)> accept)
    {
        filter made(SONDE_FILTER_CALLBACK);
        made.filter_.accept = ask;
        made.filter_.user = const_cast<void *>(static_cast<const void *>(&made.keep(std::move(accept))));
        return made;
    }

    filter operator!() const
    {
        filter turned = *this;
        turned.filter_.exclude = !filter_.exclude;
        return turned;
    }
    const sonde_filter &c_filter() const noexcept { return filter_; }

private:
    explicit filter(sonde_filter_kind kind) { filter_.kind = kind; }

    template <class Data> const Data &keep(Data data)
    {
        auto kept = std::make_shared<const Data>(std::move(data));
        data_ = kept;
        return *kept;
    }
    static int ask(std::int64_t id, void *user) noexcept
    {
        const auto &accept = *static_cast<const std::function<bool(std::int64_t)> *>(user);
        return detail::guarded(-1, [&] { return accept(id) ? 1 : 0; });
    }

    sonde_filter filter_ = SONDE_FILTER_INIT;
    std::shared_ptr<const void> data_;
};

/* search().k(10).recall(0.95f).threads(1).filter(sonde::filter::range(0, 100)), as in sonde_search_options. */
class search {
public:
    search &k(std::uint32_t hits) { options_.k = hits; return *this; }
    search &recall(float share) { options_.recall = share; return *this; }
    search &effort(std::uint32_t fixed) { options_.effort = fixed; return *this; }
    search &refine(std::uint32_t candidates) { options_.refine = candidates; return *this; }
    search &threads(std::uint32_t most) { options_.threads = most; return *this; }
    search &filter(sonde::filter all) { return filters({std::move(all)}); }
    /* One for each query. */
    search &filters(std::vector<sonde::filter> each) { filters_ = std::move(each); return *this; }

    /* Hits a query, the default filled in. */
    std::uint32_t k() const noexcept { return options_.k ? options_.k : 10; }

private:
    friend class index;

    /* Calls `call` with what C reads, which lives as long as the call. */
    template <class Call> sonde_status with_options(Call call) const
    {
        std::vector<sonde_filter> filters;
        filters.reserve(filters_.size());
        for (const sonde::filter &each : filters_) filters.push_back(each.c_filter());
        sonde_search_options options = options_;
        options.filter = filters.empty() ? nullptr : filters.data();
        options.filter_count = static_cast<std::int64_t>(filters.size());
        return call(&options);
    }

    sonde_search_options options_ = SONDE_SEARCH_OPTIONS_INIT;
    std::vector<sonde::filter> filters_;
};

/* ---- Results ----------------------------------------------------------------------------------------- */

struct hit {
    std::int64_t id;
    float score;
};

/* Why a query's list ended; none where the function does not say (range_search). */
enum class stop : std::uint8_t {
    none = 0,
    exact = SONDE_STOP_EXACT,
    effort = SONDE_STOP_EFFORT,
    fewer = SONDE_STOP_FEWER
};

namespace detail {

/* Counts through anything with operator[], held by value or by pointer. */
template <class Source> class position_iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using difference_type = std::ptrdiff_t;
    using pointer = void;

    position_iterator() = default;
    position_iterator(Source source, std::size_t position) : source_(source), position_(position) {}

    auto operator*() const
    {
        if constexpr (std::is_pointer_v<Source>)
            return (*source_)[position_];
        else
            return source_[position_];
    }
    using value_type = decltype(std::declval<std::conditional_t<std::is_pointer_v<Source>,
                                                                std::remove_pointer_t<Source>, Source> &>()[0]);
    using reference = value_type;

    position_iterator &operator++() {
        ++position_;
        return *this;
    }
    position_iterator operator++(int) { return {source_, position_++}; }
    bool operator==(const position_iterator &other) const noexcept { return position_ == other.position_; }
    bool operator!=(const position_iterator &other) const noexcept { return position_ != other.position_; }

private:
    Source source_{};
    std::size_t position_ = 0;
};

} // namespace detail

/* The hits of one query, best first: for (auto [id, score] : row). Borrowed from the result it came from. */
class hit_row {
public:
    hit_row() = default;
    hit_row(const std::int64_t *ids, const float *scores, std::size_t size, stop reason)
        : ids_(ids), scores_(scores), size_(size), reason_(reason)
    {
    }

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    hit operator[](std::size_t i) const { return {ids_[i], scores_[i]}; }
    span<const std::int64_t> ids() const { return {ids_, size_}; }
    span<const float> scores() const { return {scores_, size_}; }
    stop reason() const noexcept { return reason_; }
    auto begin() const { return detail::position_iterator<hit_row>(*this, 0); }
    auto end() const { return detail::position_iterator<hit_row>(*this, size_); }

private:
    const std::int64_t *ids_ = nullptr;
    const float *scores_ = nullptr;
    std::size_t size_ = 0;
    stop reason_ = stop::none;
};

/* What search found: queries x k, as in sonde_hits, and a range of rows that hold the hits alone. */
struct hits {
    std::int64_t queries = 0;
    std::uint32_t k = 0;
    std::vector<std::int64_t> ids;    /* queries x k; -1 where there are fewer */
    std::vector<float> scores;        /* queries x k */
    std::vector<std::int32_t> count;  /* hits of each query */
    std::vector<std::uint8_t> reason; /* a sonde_stop for each query */

    std::size_t size() const noexcept { return count.size(); }
    hit_row operator[](std::size_t query) const
    {
        const std::size_t first = query * k;
        return {ids.data() + first, scores.data() + first, static_cast<std::size_t>(count[query]),
                static_cast<stop>(reason[query])};
    }
    auto begin() const { return detail::position_iterator<const hits *>(this, 0); }
    auto end() const { return detail::position_iterator<const hits *>(this, size()); }

    /* Makes room; memory that is there already is used again. */
    void resize(std::int64_t queries_now, std::uint32_t k_now)
    {
        const auto rows = static_cast<std::size_t>(queries_now);
        queries = queries_now;
        k = k_now;
        ids.resize(rows * k);
        scores.resize(rows * k);
        count.resize(rows);
        reason.resize(rows);
    }
};

namespace detail {

inline sonde_hits c_hits(std::int64_t *ids, float *scores, std::int32_t *count, std::uint8_t *reason)
{
    sonde_hits out = SONDE_HITS_INIT;
    out.ids = ids;
    out.scores = scores;
    out.count = count;
    out.reason = reason;
    return out;
}

inline sonde_hits c_hits(hits &from)
{
    return c_hits(from.ids.data(), from.scores.data(), from.count.data(), from.reason.data());
}

/* C cannot see how large a buffer is. */
inline void check_size(const char *what, std::size_t size, std::size_t needed)
{
    if (size < needed)
        raise(SONDE_INVALID_ARGUMENT, std::string(what) + " has room for " + std::to_string(size) + " values, " +
                                          std::to_string(needed) + " are needed");
}

} // namespace detail

/* What range_search found: rows of different lengths. */
class range_hits : public detail::handle<detail::range_hits_functions> {
public:
    range_hits() = default;

    std::size_t size() const
    {
        c_handle(); /* throws if empty */
        return queries_;
    }
    hit_row operator[](std::size_t query) const
    {
        const std::int64_t *offsets = nullptr, *ids = nullptr;
        const float *scores = nullptr;
        sonde_range_hits_view(c_handle(), &offsets, &ids, &scores);
        const std::int64_t first = offsets[query];
        return {ids + first, scores + first, static_cast<std::size_t>(offsets[query + 1] - first), stop::none};
    }
    auto begin() const { return detail::position_iterator<const range_hits *>(this, 0); }
    auto end() const { return detail::position_iterator<const range_hits *>(this, size()); }

private:
    friend class index;
    template <class Call>
    range_hits(Call call, std::shared_ptr<const void> keep, std::int64_t queries)
        : queries_(static_cast<std::size_t>(queries))
    {
        adopt(call, std::move(keep));
    }

    std::size_t queries_ = 0;
};

/* ---- Index ------------------------------------------------------------------------------------------- */

using index_stats = sonde_index_stats;
using operating_point = sonde_operating_point;

/* tune_options().seconds(60).seed(1), as in sonde_tune_options. */
class tune_options {
public:
    tune_options &threads(std::uint32_t most) { options_.threads = most; return *this; }
    tune_options &seconds(double budget) { options_.seconds = budget; return *this; }
    tune_options &seed(std::uint64_t number) { options_.seed = number; return *this; }
    const sonde_tune_options &c_options() const noexcept { return options_; }

private:
    sonde_tune_options options_ = SONDE_TUNE_OPTIONS_INIT;
};

/* Finds the nearest stored rows. add, remove and compact may run beside searches; see sonde/index.h. */
class index : public detail::trained_model<index, detail::index_functions> {
public:
    struct estimate_bytes {
        std::uint64_t memory_bytes;
        std::uint64_t build_bytes;
    };

    index() = default;
    index(const std::string &spec, std::int64_t dim, const runtime_ref &on = {}) : trained_model(spec, dim, on) {}

    void add(const view &vectors) { sonde::check(sonde_index_add(c_handle(), &vectors.c_array(), nullptr)); }
    void add(const view &vectors, span<const std::int64_t> ids)
    {
        if (static_cast<std::int64_t>(ids.size()) != vectors.rows())
            raise(SONDE_INVALID_ARGUMENT, "add: " + std::to_string(ids.size()) + " ids for " +
                                              std::to_string(vectors.rows()) + " vectors");
        sonde::check(sonde_index_add(c_handle(), &vectors.c_array(), ids.data()));
    }
    /* How many were stored. */
    std::int64_t remove(span<const std::int64_t> ids)
    {
        std::int64_t removed = 0;
        sonde::check(sonde_index_remove(c_handle(), ids.data(), static_cast<std::int64_t>(ids.size()), &removed));
        return removed;
    }
    std::int64_t remove(std::initializer_list<std::int64_t> ids)
    {
        return remove(span<const std::int64_t>(ids.begin(), ids.size()));
    }
    void compact() { sonde::check(sonde_index_compact(c_handle())); }
    void merge(const index &from) { sonde::check(sonde_index_merge(c_handle(), from.c_handle())); }

    hits search(const view &queries, const sonde::search &how = {}) const
    {
        hits found;
        search_into(queries, how, found);
        return found;
    }
    /* The same, in memory that is used again. */
    void search_into(const view &queries, const sonde::search &how, hits &found) const
    {
        found.resize(queries.rows(), how.k());
        search_c(queries, how, detail::c_hits(found));
    }
    /* The same, in memory of yours: ids and scores hold queries x k, count and reason one value a query; all but ids
     * may be empty. */
    void search_into(const view &queries, const sonde::search &how, span<std::int64_t> ids, span<float> scores = {},
                     span<std::int32_t> count = {}, span<std::uint8_t> reason = {}) const
    {
        const auto rows = static_cast<std::size_t>(queries.rows());
        detail::check_size("search: ids", ids.size(), rows * how.k());
        if (!scores.empty()) detail::check_size("search: scores", scores.size(), rows * how.k());
        if (!count.empty()) detail::check_size("search: count", count.size(), rows);
        if (!reason.empty()) detail::check_size("search: reason", reason.size(), rows);
        search_c(queries, how, detail::c_hits(ids.data(), scores.data(), count.data(), reason.data()));
    }
    range_hits range_search(const view &queries, float radius, const sonde::search &how = {}) const
    {
        const auto call = [&](sonde_range_hits **found) {
            return how.with_options([&](const sonde_search_options *options) {
                return sonde_index_range_search(c_handle(), &queries.c_array(), radius, options, found);
            });
        };
        return range_hits(call, kept(), queries.rows());
    }

    void tune(const view &queries, const tune_options &how = {})
    {
        sonde::check(sonde_index_tune(c_handle(), &queries.c_array(), &how.c_options()));
    }
    /* On stored rows that are disturbed a little. */
    void tune(const tune_options &how = {}) { sonde::check(sonde_index_tune(c_handle(), nullptr, &how.c_options())); }
    std::vector<operating_point> operating_points() const
    {
        return detail::read_each<operating_point>(SONDE_OPERATING_POINT_INIT,
                                                  [&](std::uint32_t position, operating_point *point) {
            return sonde_index_operating_point(c_handle(), position, point);
        });
    }

    std::int64_t size() const { return sonde_index_count(c_handle()); }
    sonde::metric metric() const { return static_cast<sonde::metric>(sonde_index_metric(c_handle())); }
    bool trained() const { return stats().trained != 0; }
    bool contains(std::int64_t id) const { return sonde_index_contains(c_handle(), id); }
    std::vector<std::int64_t> ids() const
    {
        return detail::read_all<std::int64_t, std::int64_t>(
            [&](std::int64_t *ids, std::int64_t capacity, std::int64_t *count) {
                return sonde_index_ids(c_handle(), ids, capacity, count);
            });
    }

    /* Stored rows, reconstructed; get_bits for an index of dtype=bits, whose rows are (dim + 7) / 8 bytes. */
    matrix<float> get(span<const std::int64_t> ids) const
    {
        matrix<float> rows(static_cast<std::int64_t>(ids.size()), dim());
        get_c(ids, matrix_view<float>(rows).c_array());
        return rows;
    }
    matrix<float> get(std::initializer_list<std::int64_t> ids) const
    {
        return get(span<const std::int64_t>(ids.begin(), ids.size()));
    }
    void get_into(span<const std::int64_t> ids, const matrix_view<float> &rows) const { get_c(ids, rows.c_array()); }
    matrix<std::uint8_t> get_bits(span<const std::int64_t> ids) const
    {
        matrix<std::uint8_t> rows(static_cast<std::int64_t>(ids.size()), (dim() + 7) / 8);
        get_c(ids, view::bits(rows.data(), rows.rows(), dim()).c_array());
        return rows;
    }

    index_stats stats() const
    {
        index_stats stats = SONDE_INDEX_STATS_INIT;
        sonde::check(sonde_index_stats_get(c_handle(), &stats));
        return stats;
    }
    static estimate_bytes estimate(const std::string &spec, std::int64_t dim, std::int64_t rows)
    {
        estimate_bytes bytes{};
        sonde::check(sonde_index_estimate(spec.c_str(), dim, rows, &bytes.memory_bytes, &bytes.build_bytes));
        return bytes;
    }
    /* Proves the structure, or throws sonde::corrupt. */
    void check() const { sonde::check(sonde_index_check(c_handle())); }

private:
    void search_c(const view &queries, const sonde::search &how, sonde_hits out) const
    {
        sonde::check(how.with_options([&](const sonde_search_options *options) {
            return sonde_index_search(c_handle(), &queries.c_array(), options, &out);
        }));
    }
    void get_c(span<const std::int64_t> ids, sonde_array out) const
    {
        sonde::check(sonde_index_get(c_handle(), ids.data(), static_cast<std::int64_t>(ids.size()), &out));
    }
};

/* The k best of what several searches found for the same queries, by one metric. */
inline hits topk_merge(metric by, const std::vector<hits> &parts, std::uint32_t k, const runtime_ref &on = {})
{
    std::vector<sonde_hits> c_parts;
    std::vector<std::uint32_t> widths;
    const std::int64_t queries = parts.empty() ? 0 : parts.front().queries;
    for (const hits &part : parts) {
        if (part.queries != queries)
            raise(SONDE_INVALID_ARGUMENT, "topk_merge: a part has " + std::to_string(part.queries) +
                                              " queries, the first one has " + std::to_string(queries));
        c_parts.push_back(detail::c_hits(const_cast<hits &>(part))); /* parts are only read */
        widths.push_back(part.k);
    }
    hits merged;
    merged.resize(queries, k);
    sonde_hits out = detail::c_hits(merged);
    check(sonde_topk_merge(static_cast<std::uint32_t>(by), c_parts.data(), widths.data(), parts.size(), queries, k,
                           on.c_handle(), &out));
    return merged;
}

/* ---- Transform --------------------------------------------------------------------------------------- */

/* A map from vectors to vectors; see sonde/transform.h. */
class transform : public detail::trained_model<transform, detail::transform_functions> {
public:
    transform() = default;
    transform(const std::string &spec, std::int64_t dim, const runtime_ref &on = {}) : trained_model(spec, dim, on) {}

    std::int64_t dim_out() const { return sonde_transform_dim_out(c_handle()); }
    bool trained() const { return sonde_transform_trained(c_handle()); }

    matrix<float> apply(const view &in) const
    {
        matrix<float> out(in.rows(), dim_out());
        apply_into(in, out);
        return out;
    }
    void apply_into(const view &in, const matrix_view<float> &out) const
    {
        sonde_array rows = out.c_array();
        check(sonde_transform_apply(c_handle(), &in.c_array(), &rows));
    }
    matrix<float> apply_inverse(const view &in) const
    {
        matrix<float> out(in.rows(), dim());
        apply_inverse_into(in, out);
        return out;
    }
    void apply_inverse_into(const view &in, const matrix_view<float> &out) const
    {
        sonde_array rows = out.c_array();
        check(sonde_transform_apply_inverse(c_handle(), &in.c_array(), &rows));
    }
};

/* ---- The catalogue of methods, and files ------------------------------------------------------------- */

using method_info = sonde_method_info;
using key_info = sonde_key_info;
using input_info = sonde_input_info;
using output_info = sonde_output_info;
using section_info = sonde_section_info;

inline std::vector<method_info> methods()
{
    return detail::read_each<method_info>(SONDE_METHOD_INFO_INIT, sonde_method_at);
}

namespace detail {

/* NOT_FOUND means the end of a list, and also that there is no such method: this one is an error. */
inline void check_method(const std::string &noun, const std::string &method)
{
    std::size_t length = 0;
    check(sonde_describe(noun.c_str(), method.c_str(), nullptr, 0, &length));
}

} // namespace detail

inline std::vector<key_info> keys(const std::string &noun, const std::string &method)
{
    detail::check_method(noun, method);
    return detail::read_each<key_info>(SONDE_KEY_INFO_INIT, [&](std::uint32_t position, key_info *info) {
        return sonde_key_at(noun.c_str(), method.c_str(), position, info);
    });
}

inline std::vector<input_info> inputs(const std::string &noun, const std::string &method)
{
    detail::check_method(noun, method);
    return detail::read_each<input_info>(SONDE_INPUT_INFO_INIT, [&](std::uint32_t position, input_info *info) {
        return sonde_input_at(noun.c_str(), method.c_str(), position, info);
    });
}

inline std::vector<output_info> outputs(const std::string &noun, const std::string &method)
{
    detail::check_method(noun, method);
    return detail::read_each<output_info>(SONDE_OUTPUT_INFO_INIT, [&](std::uint32_t position, output_info *info) {
        return sonde_output_at(noun.c_str(), method.c_str(), position, info);
    });
}

/* A readable page about one method. */
inline std::string describe(const std::string &noun, const std::string &method)
{
    return detail::read_text([&](char *text, std::size_t capacity, std::size_t *length) {
        return sonde_describe(noun.c_str(), method.c_str(), text, capacity, length);
    });
}

/* The spec with every default filled in; throws what is wrong with it. */
inline std::string spec_check(const std::string &noun, const std::string &spec)
{
    return detail::read_text([&](char *text, std::size_t capacity, std::size_t *length) {
        return sonde_spec_check(noun.c_str(), spec.c_str(), text, capacity, length);
    });
}

struct file_contents {
    std::string noun; /* what kind of handle the file holds, such as "index" */
    std::vector<section_info> sections;
};

inline file_contents file_sections(const std::string &path)
{
    char noun[16] = "";
    file_contents contents;
    contents.sections = detail::read_all<section_info, std::int64_t>(
        [&](section_info *sections, std::int64_t capacity, std::int64_t *count) {
            if (sections) sections->size = sizeof(section_info);
            return sonde_file_sections(path.c_str(), sections, capacity, count, noun);
        });
    contents.noun = noun;
    return contents;
}

} // namespace sonde

#include "sonde_quantizers.hpp"
#include "sonde_samplers.hpp"

#endif
