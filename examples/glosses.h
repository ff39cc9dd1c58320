/* glosses.h: reads the data that the examples run on: 10,000 dictionary glosses and 600 sentences, each with its
 * vector of 384 half-precision floats. Only this little of the .npy format is read; the sonde program reads all of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef GLOSSES_H
#define GLOSSES_H

#include <sonde.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 384, GLOSSES = 10000, QUESTIONS = 600 };

typedef struct glosses {
    uint16_t *memory[2];
    sonde_array vectors, questions; /* GLOSSES x DIM and QUESTIONS x DIM, f16 */
    char text[GLOSSES][128];        /* the words and the gloss, cut to fit */
} glosses;

static glosses data; /* zero at first, so glosses_free is always right */

/* An .npy file is a header, whose last two of ten bytes are the length of the rest of it, and then the numbers. */
static inline uint16_t *read_vectors(const char *directory, const char *name, size_t rows)
{
    char path[1024];
    unsigned char head[10];
    snprintf(path, sizeof path, "%s/%s.npy", directory, name);
    FILE *file = fopen(path, "rb");
    uint16_t *vectors = malloc(rows * DIM * sizeof *vectors);
    int good = file && vectors && fread(head, 1, sizeof head, file) == sizeof head &&
               !fseek(file, head[8] + 256L * head[9], SEEK_CUR) &&
               fread(vectors, DIM * 2, rows, file) == rows;
    if (file)
        fclose(file);
    if (good)
        return vectors;
    fprintf(stderr, "%s cannot be read\n", path);
    free(vectors);
    return NULL;
}

static inline int read_text(const char *directory)
{
    char path[1024], line[4096];
    int count = 0;
    snprintf(path, sizeof path, "%s/glosses.tsv", directory);
    FILE *file = fopen(path, "r");
    while (file && count < GLOSSES && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        int words = (int)strcspn(line, "\t");
        snprintf(data.text[count++], sizeof data.text[0], "%.*s - %.70s", words < 40 ? words : 40, line,
                 line + words + (line[words] == '\t'));
    }
    if (file)
        fclose(file);
    if (count < GLOSSES)
        fprintf(stderr, "%s cannot be read\n", path);
    return count < GLOSSES;
}

/* Reads the directory that the first argument names, or examples/data. Returns 0, or 1 after saying why not. */
static inline int glosses_load(int argc, char **argv)
{
    const char *directory = argc > 1 ? argv[1] : "examples/data";
    data.memory[0] = read_vectors(directory, "glosses", GLOSSES);
    data.memory[1] = read_vectors(directory, "questions", QUESTIONS);
    if (!data.memory[0] || !data.memory[1] || read_text(directory))
        return 1;
    data.vectors = sonde_f16(data.memory[0], GLOSSES, DIM);
    data.questions = sonde_f16(data.memory[1], QUESTIONS, DIM);
    return 0;
}

static inline void glosses_free(void)
{
    free(data.memory[0]);
    free(data.memory[1]);
}

/* A view of rows first .. first + count - 1. */
static inline sonde_array rows_of(const sonde_array *array, int64_t first, int64_t count)
{
    sonde_array part = *array;
    part.data = (char *)array->data + first * array->stride;
    part.rows = count;
    return part;
}

static inline int failed(void)
{
    fprintf(stderr, "failed: %s\n", sonde_error_message());
    return 1;
}

#endif
