/* process.c: what the whole program shares: one runtime, the signals that cancel its work, and how it ends.
 *
 * A first SIGINT or SIGTERM only asks the library to stop, so that a half-made file is taken away and the old one
 * stays; the handlers are then gone, and a second signal ends the program at once.
 *
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

static sonde_runtime *runtime;
static volatile sig_atomic_t interrupted;

/* Only what POSIX and the library allow in a handler. */
static void on_signal(int number)
{
    interrupted = number;
    sonde_runtime_cancel(runtime);
}

int cli_start(uint32_t threads, bool quiet)
{
    sonde_runtime_options options = SONDE_RUNTIME_OPTIONS_INIT;
    options.threads = threads;
    options.progress = cli_progress;
    cli_progress_enable(!quiet && isatty(STDERR_FILENO));
    int code = cli_result(NULL, sonde_runtime_create(&options, &runtime));
    if (code)
        return code;

    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return CLI_OK;
}

void cli_stop(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    cli_progress_clear();
    sonde_runtime_free(runtime);
    runtime = NULL;
}

sonde_runtime *cli_runtime(void)
{
    return runtime;
}

int cli_interrupted(void)
{
    return interrupted;
}

int cli_error(const char *format, ...)
{
    cli_progress_clear();
    va_list rest;
    va_start(rest, format);
    fputs("sonde: error: ", stderr);
    vfprintf(stderr, format, rest);
    fputc('\n', stderr);
    va_end(rest);
    return CLI_FAILED;
}

int cli_interrupt_exit(void)
{
    cli_progress_clear();
    fputs("sonde: interrupted, nothing was changed\n", stderr);
    return 128 + interrupted;
}

int cli_result(const char *subject, sonde_status status)
{
    cli_progress_clear();
    if (status == SONDE_OK)
        return CLI_OK;
    if (status == SONDE_CANCELLED && interrupted)
        return cli_interrupt_exit();
    const char *message = sonde_error_message();
    if (!*message)
        message = sonde_status_text(status);
    if (subject && !strstr(message, subject))
        return cli_error("%s: %s", subject, message);
    return cli_error("%s", message);
}

/* Nothing sensible is left to do without memory: take unfinished files away and say so. */
static void fatal_memory(int64_t count, size_t size)
{
    cli_output_discard_pending();
    cli_error("out of memory: %lld x %zu bytes were refused", (long long)count, size);
    exit(CLI_FAILED);
}

void *cli_grow(void *memory, int64_t count, size_t size)
{
    if (count < 0 || (uint64_t)count > SIZE_MAX / 2 / (size ? size : 1))
        fatal_memory(count, size);
    size_t bytes = (size_t)count * size;
    void *grown = realloc(memory, bytes ? bytes : 1);
    if (!grown)
        fatal_memory(count, size);
    return grown;
}

void *cli_memory(int64_t count, size_t size)
{
    void *memory = cli_grow(NULL, count, size);
    memset(memory, 0, (size_t)count * size);
    return memory;
}

char *cli_copy(const char *text)
{
    return strcpy(cli_memory((int64_t)strlen(text) + 1, 1), text);
}

double cli_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
