/* inspect.c: lists and verifies the sections of a container file, whatever it holds and however damaged its data is.
 *
 * Only header and table of contents must be sound. Names of paths come from META; where that is damaged they show as
 * "?", and the checksum of the META section tells why.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/container.h"

#include <stdio.h>

static sonde_status inspect_section(sonde__reader *reader, const sonde__section *section,
                                    sonde_section_info *info)
{
    sonde_status status = sonde__reader_verify(reader, section);
    if (status && status != SONDE_CORRUPT) return status;
    info->element_size = section->element_size;
    memcpy(info->tag, section->tag, sizeof section->tag);
    sonde__reader_path_text(reader, section->path, info->path, sizeof info->path);
    info->offset = section->offset;
    info->bytes = section->bytes;
    info->checksum = section->hash;
    info->intact = status == SONDE_OK;
    return SONDE_OK;
}

/* Fills the caller's elements after all are known, so that a failure leaves them as they were. They may be longer than
 * ours (built with a newer header): the rest of each becomes zero. */
static sonde_status inspect_all(sonde__reader *reader, sonde_section_info *sections, int64_t capacity)
{
    int64_t count = sonde__min_i64(capacity, reader->section_count);
    uint32_t stride = count > 0 ? sections[0].size : 0;
    sonde_section_info *infos;
    SONDE_TRY(SONDE_NEW_ZERO(reader->runtime, infos, count));
    sonde_status status = SONDE_OK;
    for (int64_t i = 0; !status && i < count; i++)
        status = inspect_section(reader, &reader->sections[i], &infos[i]);
    for (int64_t i = 0; !status && i < count; i++) {
        uint8_t *to = (uint8_t *)sections + i * stride;
        infos[i].size = stride;
        memset(to, 0, stride);
        memcpy(to, &infos[i], sizeof infos[i]);
    }
    sonde__free(reader->runtime, infos);
    return status;
}

static sonde_status inspect_arguments(const char *path, const sonde_section_info *sections, int64_t capacity,
                                    const int64_t *count)
{
    if (!path || !count || capacity < 0 || (!sections && capacity > 0))
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "file_sections: path, count, and where capacity is above 0 sections must be given");
    if (capacity > 0 && sections[0].size < sizeof *sections)
        return sonde__fail(SONDE_INVALID_ARGUMENT,
                           "file_sections: size of the first element is %u; use SONDE_SECTION_INFO_INIT",
                           sections[0].size);
    return SONDE_OK;
}

sonde_status sonde_file_sections(const char *path, sonde_section_info *sections, int64_t capacity,
                                 int64_t *count, char *noun)
{
    SONDE_TRY(inspect_arguments(path, sections, capacity, count));
    sonde_open_options fast = SONDE_OPEN_OPTIONS_INIT;
    fast.verify = SONDE_VERIFY_FAST;
    sonde_runtime *runtime;
    sonde__reader *reader = NULL;
    SONDE_TRY(sonde__runtime_hold(NULL, &runtime));
    sonde_status status = sonde__reader_open_contents(runtime, path, NULL, 0, &fast, &reader);
    bool named = false;
    if (!status) {
        status = sonde__reader_load_paths(reader);
        named = status == SONDE_OK;
        if (status == SONDE_CORRUPT || status == SONDE_INCOMPATIBLE) status = SONDE_OK;
    }
    if (!status && (status = inspect_all(reader, sections, capacity))) sonde__fail_within(status, "%s", path);
    if (!status) *count = reader->section_count;
    if (!status && noun) snprintf(noun, SONDE__NAME_MAX + 1, "%s", named ? reader->paths[0].noun : "");
    sonde__reader_close(reader);
    sonde__runtime_drop(runtime);
    return status;
}
