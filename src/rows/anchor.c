/* anchor.c: which clients take part in a round of federated learning, and which of them are anchors.
 *
 * With few clients a round, the difference between clients is noise. FedAMD lets some of them, the anchors,
 * send the gradient of a large batch at the present model, and the others, the miners, take small steps that
 * lean on the anchors' gradients. Here is the draw and the split: each round takes `participate` of the
 * clients, every subset equally likely, and makes each of them an anchor with the round's chance: p in every
 * round (schedule=constant), or 1 in every `period`-th round from the first on and 0 in the others
 * (schedule=alternate).
 *
 * Source: Wu et al., "Anchor Sampling for Federated Learning with Partial Client Participation", ICML 2023.
 *
 * A row of a draw is a client: id = the client, group = 1 for an anchor and 0 for a miner. The stream is
 * endless; rows t * participate ... are round t, which is a function of (seed, pass, t). A draw of count 0
 * from there gives the round.
 *
 * Cost: O(participate) a round; memory 8 bytes a client where fit gave ids, else none.
 *
 * SPDX-License-Identifier: MIT
 */
#include "rows/rows.h"

enum { ANCHOR_STREAM_ROUND = 0xa4c1, ANCHOR_STREAM_ROLE = 0xa4c2 };

struct anchor_clients {
    int64_t count;
    int64_t *ids; /* NULL: 0 .. count-1 */
};

static void anchor_drop(sonde_row_sampler *sampler)
{
    struct anchor_clients *clients = sampler->state;
    if (clients) sonde__free(sampler->runtime, clients->ids);
    sonde__free(sampler->runtime, clients);
}

/* Takes the ids over. */
static sonde_status anchor_adopt(sonde_row_sampler *sampler, int64_t count, int64_t *ids)
{
    struct anchor_clients *clients = NULL;
    sonde_status status = SONDE_OK;
    if (count < sampler->batch)
        status = sonde__fail(SONDE_INVALID_ARGUMENT, "anchor: participate=%lld is more than the %lld clients",
                             (long long)sampler->batch, (long long)count);
    if (status == SONDE_OK) status = SONDE_NEW_ZERO(sampler->runtime, clients, 1);
    if (status != SONDE_OK) {
        sonde__free(sampler->runtime, ids);
        return status;
    }
    clients->count = count;
    clients->ids = ids;
    anchor_drop(sampler);
    sampler->state = clients;
    return SONDE_OK;
}

static sonde_status anchor_create(sonde_row_sampler *sampler)
{
    int64_t count = sonde__param_int(sampler->params, "clients");
    sampler->batch = sonde__param_int(sampler->params, "participate");
    if (count == 0) return SONDE_OK; /* fit says which */
    sampler->fitted = true;
    return anchor_adopt(sampler, count, NULL);
}

static sonde_status anchor_fit(sonde_row_sampler *sampler, const sonde_array *const *inputs)
{
    int64_t *ids = NULL;
    if (inputs[0]->rows > SONDE__ROWS_MOST)
        return sonde__fail(SONDE_INVALID_ARGUMENT, "fit: ids has %lld rows, expected at most %lld",
                           (long long)inputs[0]->rows, (long long)SONDE__ROWS_MOST);
    SONDE_TRY(sonde__column_i64(sampler->runtime, inputs[0], "fit: ids", -1, 0, INT64_MAX, &ids));
    return anchor_adopt(sampler, inputs[0]->rows, ids);
}

/* ---- drawing ------------------------------------------------------------------------------------------- */

static double anchor_chance(const sonde_row_sampler *sampler, int64_t round)
{
    if (sonde__param_is(sampler->params, "schedule", "constant"))
        return sonde__param_real(sampler->params, "p");
    return round % sonde__param_int(sampler->params, "period") == 0;
}

/* Writes the part of a round that lies within the draw; chosen has room for a round. */
static sonde_status anchor_round(sonde_row_sampler *sampler, int64_t round, int64_t *chosen)
{
    const struct anchor_clients *clients = sampler->state;
    sonde__drawn *drawn = &sampler->drawn;
    double chance = anchor_chance(sampler, round);
    int64_t offset = round * sampler->batch - sampler->place;
    sonde__rng rng;
    sonde__rows_rng(sampler, sampler->pass, ANCHOR_STREAM_ROUND, (uint64_t)round, &rng);
    SONDE_TRY(sonde__choose(sampler->runtime, &rng, clients->count, sampler->batch, chosen));
    sonde__rows_rng(sampler, sampler->pass, ANCHOR_STREAM_ROLE, (uint64_t)round, &rng);
    for (int64_t i = 0; i < sampler->batch; i++) {
        bool anchor = sonde__rng_unit(&rng) < chance;
        int64_t row = offset + i;
        if (row < 0 || row >= drawn->count) continue;
        drawn->ids[row] = clients->ids ? clients->ids[chosen[i]] : chosen[i];
        drawn->groups[row] = anchor;
    }
    return SONDE_OK;
}

static sonde_status anchor_draw(sonde_row_sampler *sampler, const sonde_array *const *inputs, int64_t count)
{
    (void)inputs;
    int64_t size = sampler->batch, *chosen = NULL;
    int64_t first = sampler->place / size, end = (sampler->place + count - 1) / size + 1;
    SONDE_TRY(sonde__rows_begin(sampler, count, true));
    SONDE_TRY(SONDE_NEW(sampler->runtime, chosen, size));
    sonde_status status = SONDE_OK;
    for (int64_t round = first; status == SONDE_OK && round < end; round++) {
        status = sonde__poll(sampler->runtime, "anchor: rounds", (uint64_t)(round - first),
                             (uint64_t)(end - first));
        if (status == SONDE_OK) status = anchor_round(sampler, round, chosen);
    }
    sonde__free(sampler->runtime, chosen);
    return status;
}

/* ---- shards and files ---------------------------------------------------------------------------------- */

static sonde_status anchor_merge(sonde_row_sampler *into, const sonde_row_sampler *from)
{
    const struct anchor_clients *a = into->state, *b = from->state;
    int64_t *ids = NULL;
    SONDE_TRY(sonde__merge_count("clients", a->count, b->count));
    if (!a->ids || !b->ids)
        return sonde__fail(SONDE_INCOMPATIBLE,
                           "merge: clients=%lld counts all clients already; fit ids to join shards",
                           (long long)sonde__param_int(into->params, "clients"));
    SONDE_TRY(sonde__column_join(into->runtime, a->ids, a->count, b->ids, b->count, sizeof *ids, &ids));
    return anchor_adopt(into, a->count + b->count, ids);
}

static sonde_status anchor_save(const sonde_row_sampler *sampler, sonde__writer *writer)
{
    const struct anchor_clients *clients = sampler->state;
    SONDE_TRY(sonde__write_int(writer, "clients", clients->count));
    return sonde__ids_write(writer, clients->ids, clients->count);
}

static sonde_status anchor_load(sonde_row_sampler *sampler, sonde__reader *reader)
{
    int64_t count, *ids;
    SONDE_TRY(sonde__read_int(reader, "clients", sampler->batch, SONDE__ROWS_MOST, &count));
    SONDE_TRY(sonde__ids_read(sampler->runtime, reader, count, &ids));
    return anchor_adopt(sampler, count, ids);
}

static const sonde__key anchor_keys[] = {
    {"clients", SONDE__KEY_INT, "0", 0, 4294967295.0, NULL, NULL,
     "draw from clients 0..clients-1 without fitting; 0: fit gives ids"},
    {"participate", SONDE__KEY_INT, "1", 1, 16777216, NULL, NULL, "clients of a round"},
    {"p", SONDE__KEY_REAL, "0.5", 0, 1, NULL, NULL, "schedule=constant: chance that a client is an anchor"},
    {"schedule", SONDE__KEY_WORD, "constant", 0, 0, "constant|alternate", NULL,
     "p in every round, or rounds of anchors alone and of miners alone"},
    {"period", SONDE__KEY_INT, "2", 1, 4294967295.0, NULL, NULL,
     "schedule=alternate: rounds from one of anchors to the next"},
    {0},
};

static const sonde__input_key anchor_inputs[] = {
    {"ids", "n x 1", SONDE__DTYPE_BIT(SONDE_DTYPE_I64) | SONDE__DTYPE_BIT(SONDE_DTYPE_I32), true,
     "the clients", "fit"},
    {0},
};

const sonde__row_method sonde__row_sampler_anchor = {
    .method = {"anchor", "clients of a federated round, split into anchors and miners",
               "FedAMD: Wu et al. 2023", anchor_keys, anchor_inputs, NULL, NULL},
    .create = anchor_create,
    .fit = anchor_fit,
    .draw = anchor_draw,
    .merge = anchor_merge,
    .save = anchor_save,
    .load = anchor_load,
    .drop = anchor_drop,
};
