/* main.c: the `sonde` program: finds the command, reads its options, runs it, and gives an exit code.
 *
 * Exit codes: 0 done, 1 failed (stderr says why), 2 wrong usage (stderr says what would be right), 128 + n ended by
 * signal n. Results go to stdout, everything else to stderr.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <locale.h>
#include <string.h>

#include "cli.h"

static const cli_command *const commands[] = {
    &cli_command_build, &cli_command_search, &cli_command_info,   &cli_command_check,
    &cli_command_list,  &cli_command_tune,   &cli_command_add,    &cli_command_remove,
    &cli_command_merge, &cli_command_convert, &cli_command_bench, &cli_command_demo,
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static const cli_command *find_command(const char *name)
{
    for (int i = 0; i < COMMANDS; i++) {
        if (!strcmp(commands[i]->name, name))
            return commands[i];
    }
    return NULL;
}

static void print_help(FILE *file)
{
    fputs("sonde packs, finds and draws in large sets of embeddings.\n\nusage: sonde COMMAND ...\n\n", file);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(file, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nsonde help COMMAND explains one; sonde --version prints the version.\n"
          "Files of vectors: .npy .fvecs .bvecs .ivecs .fbin .u8bin .i8bin (the extension says which).\n",
          file);
}

static int unknown_command(const char *name)
{
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    const char *nearest = cli_nearest(name, names, COMMANDS);
    if (nearest)
        fprintf(stderr, "sonde: error: there is no command '%s'; did you mean 'sonde %s'?\n", name, nearest);
    else
        fprintf(stderr, "sonde: error: there is no command '%s'; 'sonde help' lists them\n", name);
    return CLI_USAGE;
}

static int help(int argc, char **argv)
{
    if (argc < 1) {
        print_help(stdout);
        return CLI_OK;
    }
    const cli_command *command = find_command(argv[0]);
    if (!command)
        return unknown_command(argv[0]);
    cli_command_help(command, stdout);
    return CLI_OK;
}

/* --help wins over whatever else is on the line, but not over a mistake in it. */
static int run_command(const cli_command *command, int argc, char **argv)
{
    cli_args args;
    int code = cli_parse(command, argc, argv, &args);
    if (!code && cli_has(&args, "help")) {
        cli_command_help(command, stdout);
    } else if (!code) {
        code = cli_start((uint32_t)cli_int(&args, "threads", 0), cli_has(&args, "quiet"));
        if (!code)
            code = command->run(&args);
        cli_stop();
    }
    cli_args_free(&args);
    return code;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        fputs("sonde: error: a command is missing\n\n", stderr);
        print_help(stderr);
        return CLI_USAGE;
    }
    const char *first = argv[1];
    if (!strcmp(first, "--version") || !strcmp(first, "-V")) {
        printf("sonde %s\n", sonde_version());
        return CLI_OK;
    }
    if (!strcmp(first, "help") || !strcmp(first, "--help") || !strcmp(first, "-h"))
        return help(argc - 2, argv + 2);
    const cli_command *command = find_command(first);
    return command ? run_command(command, argc - 2, argv + 2) : unknown_command(first);
}

int main(int argc, char **argv)
{
    setlocale(LC_ALL, "C"); /* a decimal point is a point, in what we read and in what we print */
    int code = dispatch(argc, argv);
    errno = 0;
    if ((fflush(stdout) || ferror(stdout)) && code == CLI_OK)
        return cli_error("the output could not be written: %s", errno ? strerror(errno) : "unknown reason");
    return code;
}
