/* link: -Wl,--wrap=open,--wrap=pread,--wrap=pwrite,--wrap=fsync,--wrap=close,--wrap=rename,--wrap=fchmod */
/* test_save_faults.c: whatever fails during a save, and whenever the process dies, the target is the whole old file or
 * the whole new one, a failure is told, and no temporary and no descriptor is left. The line above, which the build
 * reads, sends the library's calls to the system through the wrappers below; they fail on demand.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "container_sample.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* ---- Faults ------------------------------------------------------------------------------------------------------ */

typedef enum call { OPEN, PREAD, PWRITE, FSYNC, CLOSE, RENAME, FCHMOD, CALLS } call;
static const char *const call_names[CALLS] = {"open", "pread", "pwrite", "fsync", "close", "rename", "fchmod"};

static struct {
    call failing;
    int64_t countdown; /* calls of that kind until one fails; below 0 = none */
    int error;
    bool interrupting; /* every second call of any kind is interrupted */
    int64_t calls;
    size_t shortest; /* most bytes that one read or write moves; 0 = all */
    int64_t room;    /* bytes until the disk is full; below 0 = endless */
} faults;

static void no_faults(void)
{
    memset(&faults, 0, sizeof faults);
    faults.countdown = -1;
    faults.room = -1;
}

static bool fails_now(call which)
{
    if (faults.interrupting && which != RENAME && which != CLOSE && which != FCHMOD && faults.calls++ % 2 == 0) {
        errno = EINTR;
        return true;
    }
    if (which != faults.failing || faults.countdown < 0 || faults.countdown-- > 0) return false;
    errno = faults.error;
    return true;
}

static size_t moved(size_t bytes)
{
    return faults.shortest && bytes > faults.shortest ? faults.shortest : bytes;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails_now(OPEN) ? -1 : __real_open(path, flags, mode);
}

ssize_t __real_pread(int descriptor, void *data, size_t bytes, off_t offset);
ssize_t __wrap_pread(int descriptor, void *data, size_t bytes, off_t offset);
ssize_t __wrap_pread(int descriptor, void *data, size_t bytes, off_t offset)
{
    return fails_now(PREAD) ? -1 : __real_pread(descriptor, data, moved(bytes), offset);
}

ssize_t __real_pwrite(int descriptor, const void *data, size_t bytes, off_t offset);
ssize_t __wrap_pwrite(int descriptor, const void *data, size_t bytes, off_t offset);
ssize_t __wrap_pwrite(int descriptor, const void *data, size_t bytes, off_t offset)
{
    if (fails_now(PWRITE)) return -1;
    bytes = moved(bytes);
    if (faults.room >= 0) {
        if (faults.room == 0) {
            errno = ENOSPC;
            return -1;
        }
        if (bytes > (uint64_t)faults.room) bytes = (size_t)faults.room;
        faults.room -= (int64_t)bytes;
    }
    return __real_pwrite(descriptor, data, bytes, offset);
}

int __wrap_fsync(int descriptor);
int __wrap_fsync(int descriptor)
{
    (void)descriptor; /* the test's own disk needs no syncing: it saves thousands of times */
    return fails_now(FSYNC) ? -1 : 0;
}

int __real_close(int descriptor);
int __wrap_close(int descriptor);
int __wrap_close(int descriptor)
{
    bool failing = fails_now(CLOSE); /* even then the descriptor is gone */
    int error = errno, result = __real_close(descriptor);
    errno = error;
    return failing ? -1 : result;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    return fails_now(RENAME) ? -1 : __real_rename(from, to);
}

int __real_fchmod(int descriptor, mode_t mode);
int __wrap_fchmod(int descriptor, mode_t mode);
int __wrap_fchmod(int descriptor, mode_t mode)
{
    return fails_now(FCHMOD) ? -1 : __real_fchmod(descriptor, mode);
}

/* ---- Files of two kinds, told apart by their content --------------------------------------------------------------- */

static sonde_status save(sonde_runtime *runtime, const char *path, int64_t version, uint64_t bytes)
{
    sonde__writer *writer;
    uint8_t block[1000];
    memset(block, (int)version, sizeof block);
    SONDE_TRY(sonde__writer_create(runtime, path, "index", spec, &writer));
    sonde_status status = sonde__write_int(writer, "version", version);
    if (!status) status = write_sample(writer);
    if (!status) status = sonde__write_begin(writer, "FILL", 1);
    for (uint64_t at = 0; !status && at < bytes; at += sizeof block)
        status = sonde__write_append(writer, block, bytes - at < sizeof block ? bytes - at : sizeof block);
    if (!status) status = sonde__write_end(writer);
    if (!status) return sonde__writer_finish(writer);
    sonde__writer_abort(writer);
    return status;
}

static sonde_status load(sonde_runtime *runtime, const char *path, int64_t *version)
{
    sonde__reader *reader;
    sonde__blob blob = {0};
    uint64_t count;
    SONDE_TRY(sonde__reader_open(runtime, path, NULL, 0, NULL, "index", &reader));
    sonde_status status = same_sample(reader);
    if (!status) status = sonde__read_int(reader, "version", 1, 2, version);
    if (!status) status = sonde__read_count(reader, "FILL", 1, &count);
    if (!status) status = sonde__read_array(reader, "FILL", count, 1, false, &blob);
    for (uint64_t i = 0; i < blob.bytes; i++) assert_int_equal(((uint8_t *)blob.data)[i], *version);
    sonde__blob_free(runtime, &blob);
    sonde__reader_close(reader);
    return status;
}

static int64_t version_of(sonde_runtime *runtime, const char *path)
{
    int64_t version = 0;
    OK(load(runtime, path, &version));
    return version;
}

static int next_descriptor(void)
{
    int descriptor = dup(0);
    __real_close(descriptor);
    return descriptor;
}

/* ---- Failing calls ----------------------------------------------------------------------------------------------- */

static void every_call_fails(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    char path[sizeof folder + 64];
    snprintf(path, sizeof path, "%s", in_folder("target"));
    const int errors[] = {ENOSPC, EIO, EDQUOT};
    int descriptor = next_descriptor();
    for (call which = OPEN; which < CALLS; which++) {
        if (which == PREAD) continue;
        int64_t met = 0;
        for (bool again = true; again; met++) {
            no_faults();
            OK(save(runtime, path, 1, 5000));
            faults.failing = which;
            faults.countdown = met;
            faults.error = errors[met % 3];
            sonde_status status = save(runtime, path, 2, 2500000);
            again = faults.countdown < 0; /* the fault happened; it may concern the directory, after the rename */
            /* Nothing hangs on closing the directory; the file's own close is the first one. */
            bool silent = status == SONDE_OK && again && !(which == CLOSE && met > 0);
            no_faults();
            int64_t version = version_of(runtime, path);
            if (silent) fail_msg("%s number %d failed in silence", call_names[which], (int)met);
            if (status && status != SONDE_IO) fail_msg("%s gave %s", call_names[which], sonde_status_name(status));
            if (!status) assert_int_equal(version, 2);
            if (which == PWRITE || which == RENAME || which == FCHMOD) assert_int_equal(version, status ? 1 : 2);
            assert_int_equal(files_in_folder(), 1);
            assert_int_equal(next_descriptor(), descriptor);
        }
        /* The last round met no fault. A missing sync of the file or of its directory shows here. */
        const int64_t wanted[CALLS] = {[OPEN] = 2, [FSYNC] = 3, [CLOSE] = 2, [RENAME] = 1, [FCHMOD] = 1};
        if (which == PWRITE ? met - 1 < 10 : met - 1 != wanted[which])
            fail_msg("%s was called %d times", call_names[which], (int)met - 1);
    }
    sonde_runtime_free(runtime);
}

static void disk_full_at_any_byte(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    char path[sizeof folder + 64];
    snprintf(path, sizeof path, "%s", in_folder("target"));
    no_faults();
    OK(save(runtime, path, 1, 5000));
    int64_t room = 0;
    for (sonde_status status = SONDE_IO; status; room += 61) {
        no_faults();
        faults.room = room;
        status = save(runtime, path, 2, 9000);
        if (status) FAILS(status, SONDE_IO, "target: cannot write: No space left on device");
        no_faults();
        assert_int_equal(version_of(runtime, path), status ? 1 : 2);
        assert_int_equal(files_in_folder(), 1);
    }
    assert_in_range(room, 9000, 15000);
    sonde_runtime_free(runtime);
}

/* Short transfers and interruptions are no failures: the bytes come out the same. */
static void short_and_interrupted(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    size_t count, other_count;
    char path[sizeof folder + 64];
    snprintf(path, sizeof path, "%s", in_folder("target"));
    no_faults();
    OK(save(runtime, path, 1, 5000));
    uint8_t *bytes = read_file(path, &count);
    const size_t shortest[] = {1, 7, 4096, 0};
    for (size_t i = 0; i < sizeof shortest / sizeof *shortest; i++) {
        faults.shortest = shortest[i];
        faults.interrupting = true;
        OK(save(runtime, path, 1, 5000));
        assert_int_equal(version_of(runtime, path), 1);
        uint8_t *other = read_file(path, &other_count);
        assert_int_equal(other_count, count);
        assert_memory_equal(other, bytes, count);
        free(other);
    }
    no_faults();
    free(bytes);
    sonde_runtime_free(runtime);
}

static void every_read_fails(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    char path[sizeof folder + 64];
    snprintf(path, sizeof path, "%s", in_folder("target"));
    no_faults();
    OK(save(runtime, path, 1, 5000));
    int descriptor = next_descriptor();
    int64_t met = 0, version;
    for (bool again = true; again; met++) {
        no_faults();
        faults.failing = PREAD;
        faults.countdown = met;
        faults.error = EIO;
        sonde_status status = load(runtime, path, &version);
        again = faults.countdown < 0;
        assert_int_equal(status, again ? SONDE_IO : SONDE_OK);
        assert_int_equal(next_descriptor(), descriptor);
    }
    assert_in_range(met, 10, 1000);
    no_faults();
    sonde_runtime_free(runtime);
}

/* ---- A real full disk -------------------------------------------------------------------------------------------- */

static void small_disk(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    char path[sizeof folder + 64], disk[sizeof folder + 64];
    snprintf(disk, sizeof disk, "%s", in_folder("disk"));
    snprintf(path, sizeof path, "%s", in_folder("disk/target"));
    no_faults();
    assert_int_equal(mkdir(disk, 0700), 0);
    /* In a name space of our own, so that the disk goes with the process whatever happens. */
    if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("sonde", disk, "tmpfs", 0, "size=256k")) {
        sonde_runtime_free(runtime);
        skip();
    }
    OK(save(runtime, path, 1, 50000));
    FAILS(save(runtime, path, 2, 1000000), SONDE_IO, "No space left on device");
    assert_int_equal(version_of(runtime, path), 1);
    OK(save(runtime, path, 2, 100000)); /* the failed temporary gave its space back */
    assert_int_equal(version_of(runtime, path), 2);
    assert_int_equal(umount(disk), 0);
    sonde_runtime_free(runtime);
}

/* ---- Death in the middle ----------------------------------------------------------------------------------------- */

static void save_for_ever(const char *path)
{
    sonde_runtime *runtime;
    if (sonde_runtime_create(NULL, &runtime)) _exit(3);
    for (int64_t i = 0;; i++)
        if (save(runtime, path, 1 + i % 2, 100000 + 400000 * (uint64_t)(i % 2))) _exit(4);
}

static void killed_at_any_moment(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    char path[sizeof folder + 64];
    uint64_t seed = (uint64_t)getpid();
    int64_t seen[3] = {0};
    snprintf(path, sizeof path, "%s", in_folder("target"));
    no_faults();
    OK(save(runtime, path, 1, 1000));
    for (int round = 0; round < 100; round++) {
        pid_t child = fork();
        if (child == 0) save_for_ever(path);
        usleep((useconds_t)(test_u64(&seed) % 8000));
        int status;
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status)); /* it was saving, and did not fail, to the end */
        seen[version_of(runtime, path)]++;
    }
    /* Both contents were met, or the rounds were too short to mean anything. */
    assert_true(seen[1] > 0 && seen[2] > 0);
    sonde_runtime_free(runtime);
}

static void two_processes_save_at_once(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    char path[sizeof folder + 64];
    pid_t children[2];
    snprintf(path, sizeof path, "%s", in_folder("target"));
    no_faults();
    OK(save(runtime, path, 1, 1000));
    for (int i = 0; i < 2; i++)
        if ((children[i] = fork()) == 0) save_for_ever(path);
    for (int i = 0; i < 50; i++) {
        version_of(runtime, path);
        usleep(2000);
    }
    for (int i = 0; i < 2; i++) {
        int status;
        kill(children[i], SIGKILL);
        waitpid(children[i], &status, 0);
        assert_true(WIFSIGNALED(status));
    }
    version_of(runtime, path);
    sonde_runtime_free(runtime);
}

/* Who mapped the old file keeps it while a new one takes its name. */
static void mapped_readers_keep_the_old_file(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    char path[sizeof folder + 64];
    snprintf(path, sizeof path, "%s", in_folder("target"));
    no_faults();
    OK(save(runtime, path, 1, 5000));
    sonde_open_options mapped = SONDE_OPEN_OPTIONS_INIT;
    mapped.mode = SONDE_OPEN_MMAP;
    sonde__reader *reader;
    OK(sonde__reader_open(runtime, path, NULL, 0, &mapped, "index", &reader));
    OK(save(runtime, path, 2, 100));
    sonde__blob blob;
    OK(sonde__read_array(reader, "FILL", 5000, 1, false, &blob));
    for (uint64_t i = 0; i < 5000; i++) assert_int_equal(((uint8_t *)blob.data)[i], 1);
    sonde__blob_free(runtime, &blob);
    sonde__reader_close(reader);
    assert_int_equal(version_of(runtime, path), 2);
    sonde_runtime_free(runtime);
}

/* ---- Places that cannot be written ------------------------------------------------------------------------------- */

static void impossible_targets(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    no_faults();
    const char *inner = in_folder("inner"), *fifo = in_folder("fifo");
    assert_int_equal(mkdir(inner, 0755), 0);
    FAILS(save(runtime, inner, 1, 10), SONDE_IO, "Is a directory");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    FAILS(save(runtime, fifo, 1, 10), SONDE_IO, "fifo: cannot create");
    FAILS(save(runtime, in_folder("absent/file"), 1, 10), SONDE_NOT_FOUND, "No such file or directory");
    FAILS(save(runtime, "", 1, 10), SONDE_NOT_FOUND, "cannot create");
    FAILS(save(runtime, in_folder("absent/"), 1, 10), SONDE_IO, "Is a directory");
    assert_int_equal(files_in_folder(), 2);
    sonde_runtime_free(runtime);
}

static void unwritable_directory(void **state)
{
    (void)state;
    sonde_runtime *runtime = plain_runtime();
    char path[sizeof folder + 64];
    snprintf(path, sizeof path, "%s", in_folder("target"));
    no_faults();
    OK(save(runtime, path, 1, 10));
    assert_int_equal(chmod(folder, 0555), 0);
    /* No directory is unwritable for root, so as root this is done as somebody else. */
    bool root = geteuid() == 0;
    if (root) assert_int_equal(seteuid(65534), 0);
    sonde_status status = save(runtime, path, 2, 10);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    FAILS(status, SONDE_IO, "target: cannot create a file in its directory: Permission denied");
    assert_int_equal(version_of(runtime, path), 1);
    assert_int_equal(files_in_folder(), 1);
    sonde_runtime_free(runtime);
}

#define CASE(name) cmocka_unit_test_teardown(name, remove_folder)
static const struct CMUnitTest cases[] = {
    CASE(every_call_fails), CASE(disk_full_at_any_byte), CASE(short_and_interrupted), CASE(every_read_fails),
    CASE(small_disk), CASE(killed_at_any_moment), CASE(two_processes_save_at_once),
    CASE(mapped_readers_keep_the_old_file), CASE(impossible_targets), CASE(unwritable_directory),
};
SONDE_TEST_MAIN(cases)
