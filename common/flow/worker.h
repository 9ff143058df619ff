/* One worker: a process's whole state beside its config. A batch goes down one list (loop.c), one file per step:
 *
 *     fetch -> decode -> route -> load -> decide -> publish -> commit -> apply
 *
 * and everything that can go wrong ends in one routine (recover.c). Shards are what is owned: whoever the group gave
 * crm.forward[h] owns shard h, its states, its timers, its place in the store.
 *
 * Life-cycle: worker_init, worker_turn until worker_ended, worker_release. Everything borrowed by the config must
 * outlive the worker. One thread. */
#ifndef ORIORI_FLOW_WORKER_H
#define ORIORI_FLOW_WORKER_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/codec/internal_records.h"
#include "common/engine/step.h"
#include "common/flow/measure.h"
#include "common/flow/playbooks.h"
#include "common/flow/trace.h"
#include "common/io/clock.h"
#include "common/io/log.h"
#include "common/io/store.h"

/* ---- config ---- */

/* What one record of an input says: mostly one event; a platform's message may say several, of several customers and
 * topics, or nothing that matters here. All of it or nothing: with a reason there are no events. */
struct reading {
    struct event *events; /* in the arena, borrowing from the record and the arena */
    size_t count;
    enum reason reason;
    const char *field;   /* a literal or NULL */
    struct span message; /* for people; in the arena, or "" */
};

/* How inputs are read and outputs written; Avro or JSON in the worker, anything small in a test. */
struct formats {
    void *context;
    /* One record of an input topic. Must give the same for the same bytes and headers, for a record may be read again
     * by another worker: forwarded, or in a replay. WORLD_AGAIN: a schema cannot be had just now; never a dead letter.
     */
    enum world (*event_read)(void *context, enum topic topic, const struct original *original, struct arena *arena,
                             struct reading *ret_reading);
    /* One transition, action or decision (R85). */
    void (*record_write)(void *context, const struct record *record, struct buffer *buffer);
    /* What event_read waits for when it said WORLD_AGAIN, a sentence. NULL where it never does. */
    const char *(*trouble)(void *context);
    uint32_t letter_schema_id; /* of dead letters on the wire; 0 = the fixed one (schema_id.h) */
    /* The seq of a decision that record_write has written, now or in an earlier release; false: it is none. NULL: no
     * histories are kept. */
    bool (*decision_seq)(struct span value, int64_t *ret_seq);
};

/* The engine: step.h's functions (engine_default), or a small one in a test of the flow. */
struct engine {
    bool (*visit)(const struct step_world *world, struct arena *arena, const struct visit *visit,
                  struct visit_result *ret_result);
    bool (*wake_at)(const struct step_world *world, struct arena *arena, struct span customer_id, struct span state,
                    int64_t *ret_wake_at);
    bool (*erased)(struct span state); /* R31; NULL = never */
};

enum start { START_EARLIEST, START_LATEST, START_TIMESTAMP }; /* where an input that was never read begins */
enum decisions_published { DECISIONS_OFF, DECISIONS_SENT_AND_BLOCKED, DECISIONS_ALL };
enum report_level { REPORT_INFO, REPORT_WARNING, REPORT_ERROR };

struct flow_config {
    struct span application_id;
    struct span transactional_id;
    int32_t shard_count; /* S */
    /* The log handle's subscription must be these five inputs, in the order of enum topic, then forward_topic: the
     * index is the topic rank of the merge. */
    const char *inputs[TOPIC_COUNT];
    const char *forward_topic, *state_topic, *steps_topic;
    const char *actions_topic, *transitions_topic, *decisions_topic, *dead_topic;
    bool actions_shadow; /* actions_topic is one that no mailer reads: for the metrics */
    const char *playbook_topic;
    enum start start;
    int64_t start_ms; /* START_TIMESTAMP */

    size_t batch_records_max;
    size_t batch_bytes_max;
    int32_t batch_wait_ms;   /* how long a batch that has begun may gather */
    size_t batch_timers_max; /* customers visited for timers, per shard and batch; and as many by a sweep */
    size_t arena_limit;      /* bytes a batch may take; more = a smaller batch */
    size_t dead_value_max;   /* bytes of an original value in a dead letter */
    size_t portion_max;      /* records of one portion of a rebuild */
    enum decisions_published decisions;
    size_t history_max; /* published decisions kept of a customer in the store; 0 = none (history.c) */

    int64_t sends_per_second; /* of one shard, at the most (pace.c); 0 = as many as there are */
    int64_t record_tries;     /* a record that ends the process so often is a dead letter; 0 = never (attempt.c) */
    int64_t forward_keep_ms;  /* how long a consumed forward stays for a replay before it is trimmed; 0 = for ever */

    bool clock_input;        /* T follows tick records (a demo); refused elsewhere by the config */
    int64_t skew_max_ms;     /* wall against the store's clock; 0 = not compared */
    int32_t tries_max;       /* of one call that says WORLD_AGAIN */
    int32_t wait_pending_ms; /* for an open transaction of a previous owner, before he is fenced */
    int32_t call_timeout_ms;
    int64_t backoff_ms, backoff_max_ms;
    uint64_t token; /* random, new for each process: the heart of its epochs */

    /* The worker's own playbook, with which a shard is born, and zones; its pauses are not read: each shard has its
     * own. A shard is served by the playbook that its `__meta` names. */
    const struct step_world *world;
    struct span playbook_text; /* its text, to be kept in playbook_topic; "" = not kept (tests of the flow) */
    /* Why the config's file cannot be used; world is a stand-in then, with which no shard is born. NULL = it can. */
    const char *playbook_refusal;
    bool playbook_watched; /* its file is followed: another one in force is mostly one whose file comes late here */
    struct engine engine;
    struct formats formats;
    void (*report)(void *context, enum report_level level, const char *text); /* NULL = silent */
    void *report_context;
    struct trace_sink trace; /* zeroed = nobody listens; contexts are passed on all the same */
};

/* A config with every limit at its default, step.h's engine, and names as "crm." + topic. world and formats are the
 * caller's to fill. */
struct flow_config flow_config_default(void);

bool flow_decision_wanted(enum decisions_published published, const struct decision *decision);

/* ---- what is owned ---- */

/* What was tried under a note in the store, so that the next process knows what ended this one (attempt.c). */
struct attempt {
    int64_t offset;  /* of the first record of the batch; of a batch of timers its first customer, hashed;
                        LOG_OFFSET_NONE = none */
    int64_t records; /* of that batch; or customers */
    int64_t count;   /* processes that ended in the try */
    uint64_t process;
    int64_t deciding; /* 1: one record, read already, of one customer: what ended was the engine */
};

/* What control records have said to a shard; in force from the step that consumes them, kept in `__meta`. */
struct control {
    bool pause_marketing;
    const struct span *rules; /* held ones */
    size_t rule_count;
    int64_t tick_at; /* the latest tick; NEVER = none. Not kept: T is. */
    /* In force from the step after the one that consumed its record: a step has one playbook. */
    unsigned char playbook_hash[32];
    struct span playbook_version;
    int64_t activation; /* 0 = born with it */
    bool sweeping;      /* customers are visited under it, in the order of ids (sweep.c) */
    struct span swept;  /* up to this one; "" = none yet */
};

enum shard_phase {
    SHARD_ABSENT,  /* somebody else's */
    SHARD_WAITING, /* ours, to be recovered */
    SHARD_READY,
    SHARD_STOPPED /* ours, and broken in a way that only people can heal; the others run on */
};

/* Where crm.forward[h] was committed, and when. */
struct trim_mark {
    int64_t at; /* monotonic ms */
    int64_t offset;
};
enum { TRIM_MARKS = 8 }; /* a forward is kept for at most 1/8 longer than asked */

/* The histories of a shard's customers (history.c). */
struct history {
    bool whole; /* all that is in crm.decisions[h] is in them; else it is read on before anything new is added */
    struct store_place place;
    struct store_place stored; /* as it is in the store: what a fail-over would turn back */
    int64_t retry_at;          /* monotonic ms; 0 = now */
};

struct shard {
    int32_t index;
    enum shard_phase phase;
    int64_t seq;                    /* of its last committed transaction */
    int64_t pos;                    /* next offset of crm.state[h] that the view lacks */
    int64_t clock;                  /* the last T, ms */
    int64_t next_wake_at;           /* the earliest wake-up not yet visited, as of the last load; NEVER = none */
    const struct step_world *world; /* the playbook in force; SHARD_READY */
    struct control control;
    struct history history;
    struct arena memory;   /* of control */
    struct attempt timers; /* as noted in the store */
    bool timers_known;
    int64_t retry_at; /* SHARD_WAITING: monotonic ms */
    int64_t backoff_ms;
    struct pace {
        int64_t credit; /* thousandths of a send that it may still publish; below 0: it waits */
        int64_t at;     /* monotonic ms of the last look; 0 = none yet */
    } pace;
    struct trim_mark marks[TRIM_MARKS]; /* oldest first */
    size_t mark_count;
    bool fenced_owner; /* the previous owner has been fenced in this recovery */
    char trouble[256]; /* why it waits or stopped; "" = fine */
};

/* One partition that the group gave us. */
struct source {
    int topic; /* index in the subscription; TOPIC_COUNT = crm.forward */
    int32_t partition;
    int32_t shard;          /* whose ranges it belongs to; -1: none (loose): everything read from it is forwarded */
    int64_t next;           /* the next offset to be committed; LOG_OFFSET_NONE = not resolved yet */
    struct attempt attempt; /* as noted in the store */
    bool broken;            /* loose, and its next offset is gone: not read until the next assignment */
    bool attempt_known;     /* it has been read there */
    bool at_end;            /* the log has told its end since it was assigned, and no record after that */
    int64_t read_at;        /* the timestamp of the last record committed, UTC ms; 0 = none yet */
};

struct flow_counts { /* since start; monotonic */
    uint64_t records, verdicts[VERDICT_DEAD + 1], undecodable, without_events, forwarded_off_home, forwarded_credits,
        controls;
    uint64_t transactions, steps, timer_visits, dead_letters, states, actions, transitions, decisions;
    uint64_t histories_read;        /* decisions read back from their topic */
    uint64_t swept;                 /* customers, by sweeps */
    uint64_t paced_ms, paced_steps; /* reading stood for the cap; steps that it cut short */
    uint64_t recoveries, recovered_shards, rebuilt_states, births, fences, stopped_shards, stopped_partitions, rewinds,
        unknown_time_zones;
};

/* The customers that a sweep has still to visit (sweep.c). */
struct sweep {
    bool begun, listed, cut; /* cut: there are more than the list holds */
    int32_t shard;
    uint64_t epoch_count; /* of the worker when the list was begun */
    int64_t activation;
    int64_t next, end; /* offsets of crm.state[shard]: to be read from here, up to there */
    int64_t retry_at;  /* monotonic ms: what is not stable yet is looked at again */
    struct span *ids;  /* sorted when listed; in memory */
    size_t count, capacity, at;
    struct arena memory, spare;
};

struct worker {
    struct flow_config config;
    struct log *log;
    struct store *store;
    struct clock *clock;

    struct arena arena;      /* of the batch in hand, or of the recovery */
    struct buffer buffer;    /* bytes of the message being made */
    struct arena portion;    /* of one portion of a rebuild */
    struct buffer last_meta; /* of the shard being rebuilt */
    struct playbooks playbooks;
    struct sweep sweep;
    bool playbook_kept;     /* the config's own lies in crm.playbook */
    bool playbook_told;     /* it was said that another one is in force */
    bool playbook_was_file; /* a shard of ours ran the file's */
    /* The text of the config's playbook file as it was last dealt with: after a change not config.world's any more. */
    unsigned char file_hash[32];
    enum { HISTORIES_UNKNOWN, HISTORIES_OFF, HISTORIES_KEPT } histories;
    bool history_told;    /* it was said that crm.decisions cannot be read */
    struct shard *shards; /* config.shard_count */
    struct source *sources;
    size_t source_count;
    bool topic_aligned[TOPIC_COUNT]; /* has S partitions */

    bool checked;        /* topics and store were checked */
    bool assigned;       /* the group has given us something (perhaps nothing) since the last revoke */
    bool recover;        /* forget all and recover before the next batch */
    bool assign_stale;   /* what is read must be assigned anew */
    bool producer_sound; /* false: a new producer first */
    bool skewed;         /* the two clocks differ: T stands */
    bool told;           /* something was reported in this turn */
    bool shrunk;         /* the batch was dropped for being too large: the smaller one follows at once */
    bool failed;         /* WORLD_STOP: the process must end */
    int32_t generation;
    uint64_t epoch_count;
    char epoch[64];
    struct span identity; /* owned; application id, S, cluster id */
    struct span cluster_id;
    int64_t retry_at; /* monotonic; 0 = at once */
    int64_t backoff_ms;
    /* monotonic, for the watchdog: the last commit, the last portion of a rebuild, or the last turn that found all that
     * is assigned read to its end. Not: tries, however many, for a recovery that never ends must be seen. */
    int64_t progress_at;
    int64_t paced_at;     /* monotonic ms of the last turn that read nothing for the cap; 0 = the last one read */
    int64_t paced_until;  /* monotonic ms: a shard of ours has sent its share, nothing is read until then; 0 = none */
    size_t batch_records; /* at most; shrinks on overflow, grows back */
    bool young;           /* the batches still grow from one record, each noted in the store (attempt.c) */
    int64_t singles;      /* so many records still one by one: among them is what ended a process */
    bool young_timers;    /* the same for timers: they have batches of their own, noted by their first customer */
    bool timers_turn;     /* the next batch is one of those, if any are due */
    size_t timer_batch;   /* customers in it, at most */
    int64_t timer_singles;
    struct flow_counts counts;
    struct flow_measures measures;
    char trouble[512]; /* the last thing reported, for /readyz */
};

void worker_init(struct worker *worker, const struct flow_config *config, struct log *log, struct store *store,
                 struct clock *clock);
void worker_release(struct worker *worker); /* the seams stay open: they are the caller's */

/* One turn of the loop: at most one batch or one recovery. May wait in the log up to wait_ms for something to happen.
 * Returns how long the next turn may wait, ms (0 = there is more to do). */
int32_t worker_turn(struct worker *worker, int32_t wait_ms);

bool worker_ended(const struct worker *worker); /* cannot go on: end the process, trouble says why */
bool worker_ready(const struct worker *worker); /* assigned, every shard of ours ready, clocks agree */

#endif
