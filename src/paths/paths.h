/* paths.h: the internal door of the paths room: schedules, and what a solver's file must supply.
 *
 * A solver is a program of linear combinations. Its file reads keys, says how many buffers of rows x dim it needs,
 * and supplies `advance`, which is asked each time when a prediction has arrived: which sums go to which buffers, and
 * where is the next prediction wanted? All else is written once, in paths.c and path_run.c: ask and tell, guidance,
 * thresholds, noise, finite checks, undoing on failure, threads, files.
 *
 *   static sonde_status ddim_advance(sonde_path_sampler *s, sonde__path_run *run, sonde__path_move *move)
 *   {
 *       const sonde__path_point *from = &s->nodes[run->step], *to = from + 1;
 *       double keep = to->sigma / from->sigma;
 *       sonde__path_sum *x = sonde__path_out(move, SONDE__PATH_X);
 *       sonde__path_add(x, SONDE__PATH_X, keep);
 *       sonde__path_add(x, SONDE__PATH_VALUE, to->alpha - from->alpha * keep);
 *       return sonde__path_next(s, run, move);
 *   }
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SONDE_SRC_PATHS_H
#define SONDE_SRC_PATHS_H

#include "base/base.h"

/* ---- Schedules (schedule.c) ------------------------------------------------------------------------------------ */

/* One place on a schedule: x = alpha x0 + sigma noise. */
typedef struct sonde__path_point {
    double time;       /* the schedule's own: 1 or so at noise, 0 or so at data */
    double model_time; /* what the model is called with */
    double alpha, sigma;
    double lambda;                 /* log(alpha / sigma); -inf where alpha is 0, inf where sigma is 0 */
    double alpha_rate, sigma_rate; /* derivatives by `time` */
} sonde__path_point;

typedef struct sonde__schedule sonde__schedule;

void sonde__schedule_at(const sonde__schedule *schedule, double time, sonde__path_point *point);
/* The time where log(alpha / sigma) is lambda. */
double sonde__schedule_time(const sonde__schedule *schedule, double lambda);
static inline void sonde__schedule_at_lambda(const sonde__schedule *schedule, double lambda, sonde__path_point *point)
{
    sonde__schedule_at(schedule, sonde__schedule_time(schedule, lambda), point);
    point->lambda = lambda;
}
const char *sonde__schedule_name(const sonde__schedule *schedule); /* of its method: "vp", "rf", ... */
bool sonde__schedule_preserving(const sonde__schedule *schedule);  /* alpha^2 + sigma^2 = 1 */
bool sonde__schedule_exploding(const sonde__schedule *schedule);   /* alpha = 1 */

/* Of the forward SDE dx = drift x dt + sqrt(diffusion) dW; the ODE is dx/dt = drift x - diffusion score / 2. */
static inline double sonde__path_drift(const sonde__path_point *p) { return p->alpha_rate / p->alpha; }
static inline double sonde__path_diffusion(const sonde__path_point *p)
{
    return 2 * p->sigma * (p->sigma_rate - p->sigma * sonde__path_drift(p));
}

/* ---- A run ----------------------------------------------------------------------------------------------------- */

/* In which form a solver wants the model's value; the conversion from what the model predicts is folded into the
 * sums. */
typedef enum sonde__path_form {
    SONDE__FORM_NOISE = 1, /* eps */
    SONDE__FORM_DATA,      /* x0 */
    SONDE__FORM_SCORE,     /* -eps / sigma */
    SONDE__FORM_CONTRAST   /* eps - x0: the velocity of x / (alpha + sigma) by sigma / (alpha + sigma) */
} sonde__path_form;

/* Terms of sums that are no buffers. */
enum {
    SONDE__PATH_VALUE = -1, /* of the prediction that has just arrived, in the solver's form */
    SONDE__PATH_NOISE = -2  /* standard normals, keyed by seed, row, step and the sum's purpose */
};
/* Buffer 0 is the state at the run's step; 1.. are the solver's own. */
enum { SONDE__PATH_X = 0, SONDE__PATH_BUFFERS = 16, SONDE__PATH_SCALARS = 16, SONDE__PATH_ROW_SCALARS = 4 };
enum { SONDE__PATH_TERMS = 12, SONDE__PATH_SUMS = 4, SONDE__PATH_PURPOSES = 1024 };

/* Where a run stands: small, copied for every tell, and only kept if all went well. What a solver must remember from
 * one prediction to the next lives here, so that it is saved with the run. */
typedef struct sonde__path_run {
    int64_t step;                        /* the state is at nodes[step] */
    int64_t stage;                       /* the solver's: which prediction within the step, 0..stages - 1 */
    int64_t evaluation;                  /* predictions told */
    double scalars[SONDE__PATH_SCALARS]; /* the solver's, finite */
    sonde__path_point at;                /* where a prediction is wanted ... */
    int64_t at_buffer;                   /* ... of this buffer */
    /* Managed by path_run.c: */
    int64_t condition, done;
    uint32_t written;                  /* bit per buffer */
    int8_t place[SONDE__PATH_BUFFERS]; /* memory of each buffer */
} sonde__path_run;

/* out[i] = sum over terms of weight * term[i]. Every sum of a move reads the buffers as they were before the move. */
typedef struct sonde__path_term {
    int which;      /* a buffer, SONDE__PATH_VALUE or SONDE__PATH_NOISE */
    int row_scalar; /* weight is multiplied by this scalar of the row; -1 = by 1 */
    double weight;
} sonde__path_term;
typedef struct sonde__path_sum {
    int out;
    int count;
    uint32_t purpose; /* of the noise: below SONDE__PATH_PURPOSES, different for each draw of a step */
    sonde__path_term terms[SONDE__PATH_TERMS];
} sonde__path_sum;

/* What advance answers. */
typedef enum sonde__path_then {
    SONDE__PATH_EVALUATE, /* a prediction is wanted at run->at of run->at_buffer */
    SONDE__PATH_AGAIN, /* call advance again when the sums are there; VALUE is gone then, store it if it is needed */
    SONDE__PATH_DONE   /* the state is at the last of the solver's nodes */
} sonde__path_then;
typedef struct sonde__path_move {
    int count;
    sonde__path_sum sums[SONDE__PATH_SUMS];
    sonde__path_then then;
} sonde__path_move;

/* Begins a sum whose result becomes `buffer` when all sums of the move are there. */
sonde__path_sum *sonde__path_out(sonde__path_move *move, int buffer);
/* Terms with weight 0 are left out. */
void sonde__path_add(sonde__path_sum *sum, int which, double weight);
void sonde__path_add_scaled(sonde__path_sum *sum, int which, double weight, int row_scalar);
/* Answers: a prediction of `buffer` at `point`, which is `stage` of the step. */
sonde_status sonde__path_evaluate(sonde__path_run *run, sonde__path_move *move, int buffer,
                                  const sonde__path_point *point, int64_t stage);
/* Answers: the state is at nodes[run->step + steps] now; goes on with stage 0 there, or is done. */
sonde_status sonde__path_jump(const sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move,
                              int64_t steps);
static inline sonde_status sonde__path_next(const sonde_path_sampler *sampler, sonde__path_run *run,
                                            sonde__path_move *move)
{
    return sonde__path_jump(sampler, run, move, 1);
}
/* Answers: advance again, at once, as `stage`. */
sonde_status sonde__path_again(sonde__path_run *run, sonde__path_move *move, int64_t stage);

/* For solvers whose coefficients depend on the state (step sizes, norms, divergences). All of it is valid inside
 * advance only. A buffer of `run`, rows x dim packed; the solver may read any that has been written, and may write
 * what `fresh` gives, which becomes the buffer (its old content is lost then, and a failure brings it back). */
const float *sonde__path_buffer(const sonde_path_sampler *sampler, const sonde__path_run *run, int buffer);
float *sonde__path_fresh(sonde_path_sampler *sampler, sonde__path_run *run, int buffer);
/* Scalar `which` of every row, 0 at the start: rows doubles to read and write; a failure brings the old ones back. */
double *sonde__path_row_scalars(const sonde_path_sampler *sampler, int which);

/* ---- A solver -------------------------------------------------------------------------------------------------- */

typedef struct sonde__path_method {
    sonde__method method;
    bool to_zero; /* takes a last step to sigma = 0 itself; else the engine does it: one more prediction, x = x0 */
    bool finite_lambda; /* its formulas need lambda of the first node: rf begins at time 1 - 1e-6 */
    /* Reads keys from sampler->params, checks the plan (nodes, steps), sets form, buffers, spares, stages and
     * row_scalars, may make `state`. */
    sonde_status (*create)(sonde_path_sampler *sampler);
    /* What happens before the first prediction (noise that is added first, say); it has no VALUE. NULL: none, the
     * first prediction is wanted at nodes[0] of the state. */
    sonde_status (*begin)(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move);
    /* A prediction at run->at of run->at_buffer has arrived. Reads step, stage and scalars, which may come from a
     * file: within 0..steps - 1, 0..stages - 1 and finite, no more. Changes `run`, fills the empty `move`. */
    sonde_status (*advance)(sonde_path_sampler *sampler, sonde__path_run *run, sonde__path_move *move);
    /* An output of the method's table beside "state". NULL: none. */
    sonde_status (*output)(const sonde_path_sampler *sampler, const char *name, sonde_array *column);
    void (*drop)(sonde_path_sampler *sampler); /* frees state; state may be NULL. NULL: none */
} sonde__path_method;

struct sonde_path_sampler {
    sonde_runtime *runtime;
    sonde__params *params;
    const sonde__path_method *method;
    int64_t dim;
    uint64_t seed;
    sonde__schedule *schedule;
    sonde__path_point *nodes; /* node_count of them, lambda growing; the last has sigma = 0 if `zero` */
    int64_t node_count;
    int64_t steps; /* the solver goes from nodes[0] to nodes[steps]; the engine's own step to 0 is not among them */
    bool zero;
    /* What create says; it finds form = DATA, buffers = 1, spares = 1, stages = 1, row_scalars = 0. */
    sonde__path_form form;
    int buffers; /* the state among them */
    int spares;  /* most sums (and fresh) of one prediction, all its moves together */
    int64_t stages;
    int row_scalars;
    void *state;                       /* the solver's own; constant after create */
    struct sonde__path_engine *engine; /* path_run.c: memory and progress of the run */
    struct sonde__path_model *model;   /* predict.c: what the model predicts, guidance, thresholds */
};

/* For the tables of solvers: the output "state". */
extern const sonde__output_key sonde__path_outputs[];

/* Rows of the run that is under way. */
int64_t sonde__path_rows(const sonde_path_sampler *sampler);

extern const sonde__noun sonde__path_sampler_noun, sonde__schedule_noun;

#endif
