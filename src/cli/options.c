/* options.c: reads a command line against a table of options, and says what would be right where it does not fit.
 *
 * One table a command serves parsing, checking, help and "did you mean". Options and operands mix freely; --name VALUE,
 * --name=VALUE, -k VALUE and -kVALUE are the same, and everything after -- is an operand.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Every command has these. */
static const cli_option common[] = {
    {"json", 0, CLI_FLAG, 0, 0, NULL, "print JSON for programs"},
    {"threads", 't', CLI_INT, 1, 4096, "N", "most threads to use (default: the processors of this process)"},
    {"quiet", 'q', CLI_FLAG, 0, 0, NULL, "no progress bar"},
    {"help", 'h', CLI_FLAG, 0, 0, NULL, "this page"},
    CLI_OPTIONS_END,
};

static int count_options(const cli_option *options)
{
    int count = 0;
    while (options[count].name)
        count++;
    return count;
}

/* The option at a position over both tables, or NULL past the end. */
static const cli_option *option_at(const cli_command *command, int position)
{
    int own = count_options(command->options);
    const cli_option *option = position < own ? &command->options[position] : &common[position - own];
    return option->name ? option : NULL;
}

/* The position of an option by long name (of `length` letters) or, with length 0, by its letter; -1 = none. */
static int find_option(const cli_command *command, const char *name, size_t length)
{
    const cli_option *option;
    for (int i = 0; (option = option_at(command, i)) != NULL; i++) {
        if (length ? strlen(option->name) == length && !strncmp(option->name, name, length)
                   : option->letter == *name)
            return i;
    }
    return -1;
}

/* ---- Nearest words ------------------------------------------------------------------------------------- */

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Edits (insert, drop, change) from one word to another; words beyond 31 letters are never near. */
static int edit_distance(const char *from, const char *to)
{
    int row[32], n = (int)strlen(to);
    if (n > 31)
        return 99;
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; *from; from++, i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int above = row[j];
            int change = diagonal + (*from != to[j - 1]);
            row[j] = smaller(change, smaller(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[n];
}

const char *cli_nearest(const char *word, const char *const *list, int count)
{
    const char *nearest = NULL;
    int best = (int)strlen(word) / 3 + 2; /* more edits than this are no typing mistake */
    for (int i = 0; i < count; i++) {
        int distance = edit_distance(word, list[i]);
        if (distance < best) {
            best = distance;
            nearest = list[i];
        }
    }
    return nearest;
}

/* ---- Help and wrong usage ------------------------------------------------------------------------------ */

/* "usage: sonde NAME OPERANDS [options]" */
static void print_usage(const cli_command *command, FILE *file)
{
    fprintf(file, "usage: sonde %s %s%s[options]\n", command->name, command->operands,
            *command->operands ? " " : "");
}

static void print_option(const cli_option *option, FILE *file)
{
    char left[64];
    char letter[4] = "   ";
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c,", option->letter);
    snprintf(left, sizeof left, "%s --%s %s", letter, option->name, option->value ? option->value : "");
    fprintf(file, "  %-26s %s\n", left, option->help);
}

void cli_command_help(const cli_command *command, FILE *file)
{
    print_usage(command, file);
    fprintf(file, "\n%s\n\n", command->summary);
    const cli_option *option;
    for (int i = 0; (option = option_at(command, i)) != NULL; i++)
        print_option(option, file);
    fprintf(file, "\nexample:\n  %s\n", command->example);
}

int cli_usage_error(const cli_command *command, const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    fprintf(stderr, "sonde: error: %s: ", command->name);
    vfprintf(stderr, format, rest);
    va_end(rest);
    fputc('\n', stderr);
    print_usage(command, stderr);
    fprintf(stderr, "       sonde help %s   explains them\n", command->name);
    return CLI_USAGE;
}

/* `given` is what was typed, `name` (of `length` letters) what of it should have been a name. */
static int unknown_option(const cli_command *command, const char *given, const char *name, size_t length)
{
    const char *names[CLI_MAX_OPTIONS];
    char word[64];
    int count = 0;
    const cli_option *option;
    while ((option = option_at(command, count)) != NULL)
        names[count++] = option->name;
    snprintf(word, sizeof word, "%.*s", (int)(length < 60 ? length : 60), name);
    const char *nearest = cli_nearest(word, names, count);
    if (nearest)
        return cli_usage_error(command, "there is no option %s; did you mean --%s?", given, nearest);
    return cli_usage_error(command, "there is no option %s", given);
}

/* ---- Parsing ------------------------------------------------------------------------------------------- */

bool cli_number(const char *text, int64_t *number)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end)
        return false;
    *number = value;
    return true;
}

static bool real_number(const char *text, double *number)
{
    char *end;
    *number = strtod(text, &end);
    return end != text && !*end && isfinite(*number);
}

/* Values are checked when they are read, so the getters below cannot fail. */
static int check_value(const cli_command *command, const cli_option *option, const char *value)
{
    int64_t whole;
    double real = 0;
    if (option->kind == CLI_INT) {
        bool good = cli_number(value, &whole) && (double)whole >= option->min && (double)whole <= option->max;
        if (!good)
            return cli_usage_error(command, "--%s takes a whole number from %.0f to %.0f, not '%s'",
                                   option->name, option->min, option->max, value);
    }
    if (option->kind == CLI_REAL &&
        !(real_number(value, &real) && real >= option->min && real <= option->max))
        return cli_usage_error(command, "--%s takes a number from %g to %g, not '%s'", option->name,
                               option->min, option->max, value);
    return CLI_OK;
}

/* Reads the option at argv[*at] and its value; leaves *at on the last word that was used. */
static int parse_option(cli_args *args, int argc, char **argv, int *at)
{
    const cli_command *command = args->command;
    const char *given = argv[*at];
    bool is_long = given[1] == '-';
    const char *name = given + (is_long ? 2 : 1);
    size_t length = is_long ? strcspn(name, "=") : 0;
    const char *attached = is_long ? name + length : name + 1;
    int position = is_long && !length ? -1 : find_option(command, name, length);
    if (position < 0)
        return unknown_option(command, given, name, is_long ? length : strlen(name));

    const cli_option *option = option_at(command, position);
    if (option->kind == CLI_FLAG) {
        if (*attached)
            return cli_usage_error(command, "--%s takes no value, but '%s' was given", option->name, given);
        args->values[position] = "";
        return CLI_OK;
    }
    const char *value = *attached ? attached + is_long : NULL;
    if (!value) {
        if (*at + 1 >= argc)
            return cli_usage_error(command, "--%s needs a value: %s", option->name, option->value);
        value = argv[++*at];
    }
    args->values[position] = value;
    return check_value(command, option, value);
}

/* The n-th word of the operands in the usage line names what is missing. */
static int check_operands(const cli_args *args)
{
    const cli_command *command = args->command;
    if (args->operand_count > command->max_operands)
        return cli_usage_error(command, "'%s' is one operand too many",
                               args->operands[command->max_operands]);
    if (args->operand_count >= command->min_operands)
        return CLI_OK;
    const char *word = command->operands;
    for (int i = 0; i < args->operand_count; i++)
        word += strcspn(word, " ") + 1;
    return cli_usage_error(command, "%.*s is missing", (int)strcspn(word, " "), word);
}

int cli_parse(const cli_command *command, int argc, char **argv, cli_args *args)
{
    memset(args, 0, sizeof *args);
    args->command = command;
    args->operands = cli_memory(argc + 1, sizeof *args->operands);
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        int code = CLI_OK;
        if (!only_operands && !strcmp(argv[i], "--"))
            only_operands = true;
        else if (only_operands || argv[i][0] != '-' || !argv[i][1])
            args->operands[args->operand_count++] = argv[i];
        else
            code = parse_option(args, argc, argv, &i);
        if (code)
            return code;
    }
    return cli_has(args, "help") ? CLI_OK : check_operands(args);
}

void cli_args_free(cli_args *args)
{
    free(args->operands);
    args->operands = NULL;
}

/* ---- Reading what was given ---------------------------------------------------------------------------- */

const char *cli_text(const cli_args *args, const char *option)
{
    int position = find_option(args->command, option, strlen(option));
    return position < 0 ? NULL : args->values[position];
}

bool cli_has(const cli_args *args, const char *option)
{
    return cli_text(args, option) != NULL;
}

int64_t cli_int(const cli_args *args, const char *option, int64_t fallback)
{
    const char *text = cli_text(args, option);
    int64_t number = fallback;
    if (text)
        cli_number(text, &number);
    return number;
}

double cli_real(const cli_args *args, const char *option, double fallback)
{
    const char *text = cli_text(args, option);
    double number = fallback;
    if (text)
        real_number(text, &number);
    return number;
}
