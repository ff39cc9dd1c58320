/* cli.h: what the files of the `sonde` program share. The program stands on sonde.h and POSIX alone, so whatever it
 * does any other program can do. Shared functions are called cli_*; they are in no library. Running out of memory ends
 * the program, so cli_memory never returns NULL; everything else that fails returns an exit code.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_CLI_H
#define SONDE_CLI_H

#include <stdio.h>

#include "sonde.h"

/* Exit codes; a run that a signal ended gives 128 + the signal, as shells do. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* ---- options.c: the command line ----------------------------------------------------------------------- */

typedef enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_INT, CLI_REAL } cli_kind;

/* One option; a table of them ends with CLI_OPTIONS_END. */
typedef struct cli_option {
    const char *name; /* long name without dashes */
    char letter;      /* short name, or 0 */
    cli_kind kind;
    double min, max;  /* for CLI_INT and CLI_REAL */
    const char *value; /* how help names the value, such as "FILE" */
    const char *help;
} cli_option;

#define CLI_OPTIONS_END {NULL, 0, CLI_FLAG, 0, 0, NULL, NULL}
enum { CLI_MAX_OPTIONS = 24 };

typedef struct cli_args cli_args;

typedef struct cli_command {
    const char *name;
    const char *operands; /* as usage shows them, such as "INDEX QUERIES" */
    int min_operands, max_operands;
    const char *summary;
    const char *example;
    const cli_option *options;
    int (*run)(const cli_args *args);
} cli_command;

struct cli_args {
    const cli_command *command;
    const char **operands; /* into argv */
    int operand_count;
    /* By position in the command's table, then in the common one; NULL = not given. */
    const char *values[CLI_MAX_OPTIONS];
};

/* Fills args from argv (after the command's name). Returns CLI_OK, or CLI_USAGE after saying what is wrong. */
int cli_parse(const cli_command *command, int argc, char **argv, cli_args *args);
void cli_args_free(cli_args *args);

bool cli_has(const cli_args *args, const char *option);
const char *cli_text(const cli_args *args, const char *option); /* NULL if absent */
int64_t cli_int(const cli_args *args, const char *option, int64_t fallback);
double cli_real(const cli_args *args, const char *option, double fallback);

void cli_command_help(const cli_command *command, FILE *file);

/* Prints "sonde: error: COMMAND: ..." and the usage line; returns CLI_USAGE. */
int cli_usage_error(const cli_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The word of the list that is nearest to `word`, or NULL if none is near. */
const char *cli_nearest(const char *word, const char *const *list, int count);

/* Reads a whole number, digits and all, or returns false. */
bool cli_number(const char *text, int64_t *number);

/* ---- process.c: the runtime, signals and fatal ends ---------------------------------------------------- */

/* Makes the runtime that all handles share, with a progress bar if stderr is a terminal, and lets SIGINT and SIGTERM
 * cancel its work; a second one ends the program at once. */
int cli_start(uint32_t threads, bool quiet);
void cli_stop(void);
sonde_runtime *cli_runtime(void);

/* The signal that asked us to stop, or 0. */
int cli_interrupted(void);

/* Prints "sonde: error: ..."; returns CLI_FAILED. */
int cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends a call of the library: takes the progress bar away; if the call failed, prints the library's message (after
 * `subject` and a colon, unless it is NULL or the message names it). Returns the exit code, 128 + signal if a signal
 * was the cause. */
int cli_result(const char *subject, sonde_status status);

/* The exit code of work that a signal ended, after a word about it. */
int cli_interrupt_exit(void);

/* count * size bytes, zeroed; ends the program if there are none or the product overflows. */
void *cli_memory(int64_t count, size_t size);
void *cli_grow(void *memory, int64_t count, size_t size); /* realloc, with the same promise */
char *cli_copy(const char *text);
double cli_seconds(void); /* of a clock that only goes forward */

/* ---- files.c: bytes in, whole files out ---------------------------------------------------------------- */

typedef struct cli_bytes {
    uint8_t *data; /* mapped privately and read-only, or ours */
    size_t size;
    bool mapped;
} cli_bytes;

/* Maps a regular file, reads anything else (a pipe, "-" = standard input). */
int cli_bytes_read(const char *path, cli_bytes *bytes);
void cli_bytes_free(cli_bytes *bytes);

typedef struct cli_lines {
    char *text;
    char **line; /* without line ends */
    int64_t count;
} cli_lines;

int cli_lines_read(const char *path, cli_lines *lines);
void cli_lines_free(cli_lines *lines);

/* Ids from .npy (i4, i8), .ivecs, or any other file as text, numbers with white space between. */
int cli_ids_read(const char *path, int64_t **ids, int64_t *count);

/* A file that appears under its name only when it is complete. One may be open at a time. */
typedef struct cli_output {
    const char *path;
    char *temporary; /* NULL if written straight (devices, pipes, links) */
    FILE *file;
} cli_output;

int cli_output_open(const char *path, cli_output *output);
int cli_output_commit(cli_output *output); /* reports what failed and leaves no file then */
void cli_output_discard(cli_output *output);
void cli_output_discard_pending(void); /* for cli_fatal ends */

int64_t cli_file_size(const char *path); /* -1 if there is none */
bool cli_same_file(const char *first, const char *second);

/* ---- vectors.c, vectors_write.c: npy, fvecs, bvecs, ivecs, fbin, u8bin, i8bin -------------------------- */

typedef enum cli_layout { CLI_NPY, CLI_ROW_HEADERS, CLI_FILE_HEADER } cli_layout;

typedef struct cli_format {
    const char *extension;
    cli_layout layout;
    uint32_t dtype; /* a sonde_dtype; 0 = the file says it */
} cli_format;

/* The format that a path's extension names, or NULL. */
const cli_format *cli_format_of(const char *path);
const char *cli_dtype_name(uint32_t dtype);

typedef struct cli_vectors {
    sonde_array array; /* into bytes or converted */
    cli_bytes bytes;
    float *converted;  /* f64 files become f32 */
} cli_vectors;

int cli_vectors_read(const char *path, cli_vectors *vectors);
void cli_vectors_free(cli_vectors *vectors);

/* Sees packed u8 rows as bits, eight columns a byte; other rows stay as they are. */
void cli_vectors_as_bits(cli_vectors *vectors);

/* Writes in the format that the path names, whole or not at all. */
int cli_vectors_write(const char *path, const sonde_array *array);

/* ---- output.c: tables, JSON, the progress bar ---------------------------------------------------------- */

/* A table that is printed when its cells, and so its widths, are known. */
typedef struct cli_table {
    const char *align; /* a letter a column: l or r */
    int columns;
    int64_t count, capacity;
    char **cells;
} cli_table;

/* titles: words separated by '|', as many as align has letters; NULL = no heading. */
void cli_table_begin(cli_table *table, const char *align, const char *titles);
void cli_table_cell(cli_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_table_print(cli_table *table, FILE *file); /* and frees it */

typedef struct cli_json {
    FILE *file;
    int depth;
    bool filled[12];  /* a value was written at this depth */
    char closing[12];
} cli_json;

/* key is NULL inside arrays and at the top. */
void cli_json_start(cli_json *json, FILE *file);
void cli_json_open(cli_json *json, const char *key, char bracket); /* '{' or '[' */
void cli_json_close(cli_json *json);
void cli_json_text(cli_json *json, const char *key, const char *value);
void cli_json_int(cli_json *json, const char *key, int64_t value);
void cli_json_real(cli_json *json, const char *key, double value);
void cli_json_bool(cli_json *json, const char *key, bool value);

enum { CLI_TEXT_BYTES = 32 };
/* 12,345 and 5.1 MB; both return `text`, which holds CLI_TEXT_BYTES. */
const char *cli_grouped(int64_t number, char *text);
const char *cli_size(uint64_t bytes, char *text);
const char *cli_metric_name(uint32_t metric);

/* sonde_runtime_options.progress: draws the bar on stderr, if enabled, once a stage has lasted a while. */
void cli_progress_enable(bool enabled);
int cli_progress(const char *stage, uint64_t done, uint64_t total, void *user);
void cli_progress_clear(void);

/* ---- index_io.c: what several commands do with index files --------------------------------------------- */

int cli_index_open(const char *path, bool mapped, sonde_index **index);
int cli_index_save(const sonde_index *index, const char *path);

/* Reads vectors as an index takes them (bits for hamming); the library checks the rest. */
int cli_index_vectors(const sonde_index *index, const char *path, cli_vectors *vectors);

/* The same before there is an index: also says what is wrong with the spec. */
int cli_spec_vectors(const char *spec, const char *path, cli_vectors *vectors);

/* Rows that a command changed. */
typedef struct cli_change {
    int64_t added, replaced, removed;
} cli_change;

/* Adds vectors, under the ids of a file unless ids_path is NULL. */
int cli_index_add(sonde_index *index, const sonde_array *vectors, const char *ids_path, cli_change *change);

/* Writes an index file, and says what a command changed in it. */
int cli_index_save_changed(const cli_args *args, const sonde_index *index, const char *path,
                           const cli_change *change);

/* The calibrated curve: what usual recalls take, as a table; the whole, as member "calibration" of a JSON object. */
void cli_index_points(const sonde_index *index, FILE *file);
void cli_index_points_json(cli_json *json, const sonde_index *index);

/* ---- measure.c: recall and speed, for bench and demo --------------------------------------------------- */

enum { CLI_MAX_POINTS = 48 };

typedef struct cli_point {
    uint32_t effort;
    double recall;
    double one_thread, all_threads; /* queries a second, all in one call; 0 = not measured */
    double alone_ms;                /* a query in a call of its own, on one thread */
} cli_point;

typedef struct cli_curve {
    const char *label;
    char *spec; /* with every default filled in */
    uint32_t metric;
    double build_seconds;
    double bytes_per_vector; /* all memory of the index over its rows */
    int count;
    cli_point points[CLI_MAX_POINTS];
} cli_curve;

typedef struct cli_trial {
    const sonde_array *base, *queries;
    uint32_t k;
    double seconds;     /* spent on each speed, at least one run */
    bool all_threads;   /* measure that too */
    int64_t *truth[8];  /* exact ids by metric, filled on demand */
} cli_trial;

/* Builds an index, runs it over rising efforts, and frees it. Exact answers come from flat in f32. */
int cli_measure(cli_trial *trial, const char *label, const char *spec, cli_curve *curve);
void cli_trial_free(cli_trial *trial);
void cli_curve_free(cli_curve *curve);

/* The first point that reaches the recall, or the point of best recall. */
const cli_point *cli_curve_at(const cli_curve *curve, double recall);

/* Writes the members that describe a curve into an open JSON object. */
void cli_curve_json(cli_json *json, const cli_curve *curve);

/* ---- report.c: the HTML page --------------------------------------------------------------------------- */

typedef struct cli_report {
    const char *title;
    const char *lead; /* a sentence on what was measured */
    const cli_curve *curves;
    int count;
    uint32_t k;
    double target; /* the recall at which the table compares */
    bool all_threads;
} cli_report;

int cli_report_write(const char *path, const cli_report *report);
void cli_report_table(const cli_report *report, FILE *file); /* the same table as text */

/* ---- one file a command -------------------------------------------------------------------------------- */

extern const cli_command cli_command_build, cli_command_search, cli_command_info, cli_command_check,
    cli_command_list, cli_command_tune, cli_command_add, cli_command_remove, cli_command_merge,
    cli_command_convert, cli_command_bench, cli_command_demo;

#endif
