/* A whole small world in one process: an in-memory Kafka and Redis, a scripted clock, a few workers with faults at
 * their seams, a shop that writes events (some under wrong keys, twice, for a test, unreadable, from the future), and
 * an auditor that knows from the history alone what must have come out.
 *
 * The auditor shares with the flow only the step itself (step_run, through replay.c). */
#ifndef ORIORI_TESTS_SIM_WORLD_H
#define ORIORI_TESTS_SIM_WORLD_H

#include "common/flow/worker.h"
#include "common/io/clock_scripted.h"
#include "common/io/log_memory.h"
#include "common/io/store_memory.h"
#include "tests/sim/fault.h"
#include "tests/sim/poison.h"

#define SIM_GROUP "crm"
enum { SIM_WORKERS_MAX = 4, SIM_SHARDS = 4, SIM_TEXT_SIZE = 512 };

struct sim_config {
    uint64_t seed;
    int worker_count;
    uint32_t marker_lag_max;
    bool stable_ids; /* a restarted worker has its old transactional id */
    size_t batch_records_max;
    bool no_customers_topic;  /* the optional topic is absent */
    bool brokers;             /* leaders change, consumed records expire, Redis answers too late */
    bool clocks;              /* each worker has a clock that may jump and stand */
    int64_t record_tries;     /* as in flow_config */
    enum sim_poison poison;   /* only with record_tries, or the world never comes to rest */
    int poison_customer;      /* who: c0, c1 ... */
    bool real;                /* the real engine and its shop (real_engine.h), not the toy */
    bool activates;           /* real: playbooks are activated, and workers have files of their own */
    int64_t sends_per_second; /* 0 = no cap */
    FILE *trace;              /* what the workers report; NULL = silent */
};

struct sim_worker {
    struct sim_world *world;
    int index, incarnation;
    bool alive;
    char transactional_id[32];
    struct faults faults;
    struct log log;
    struct store store;
    struct worker worker;
    struct clock clock;
    int64_t clock_offset; /* ms that its wall clock is ahead of the world's */
    bool clock_stands;    /* a virtual machine whose time does not go on */
    int64_t wall_ms_stood, monotonic_ms_stood;
};

struct sim_world {
    struct sim_config config;
    struct clock_scripted script;
    struct clock clock;        /* the store's */
    struct clock broker_clock; /* moves with time only, never jumps: sessions and transactions end by it */
    struct memory_cluster *cluster;
    struct memory_server *server;
    struct playbook playbook;
    struct zones *zones;
    struct step_world step_world;
    struct flow_config flow;
    struct sim_worker workers[SIM_WORKERS_MAX];
    uint64_t random;
    /* the history, and what it must lead to */
    size_t event_count, dead_count;
    char **expected; /* "customer|rule|key", with repetitions */
    size_t expected_count, expected_capacity;
    char **history; /* real: each event's line, once, as written */
    size_t history_count, history_capacity;
    struct flow_counts totals; /* of all workers that are gone */
    uint64_t traced_timers;    /* seen by the auditor: actions of timers that went on with a trace */
    uint64_t traced_credits;   /* and friends' credits that brought one */
    int variant;               /* of the playbook activated last (real_engine.h) */
    int64_t activation_count;
    /* asked before every call of a worker's seams */
    void *fault_context;
    enum fault_kind (*fault)(void *context, struct sim_worker *worker, const char *call);
    /* told after each call, and of each report; NULL = nobody asks */
    void (*done)(void *context, struct sim_worker *worker, const char *call, enum fault_kind kind, enum world outcome);
    void (*said)(void *context, struct sim_worker *worker, const char *text);
};

/* The command that runs again what runs now: whoever runs worlds writes it, and a crash prints it (main.c). */
extern char sim_running[128];

void sim_world_init(struct sim_world *world, const struct sim_config *config);
void sim_world_release(struct sim_world *world);
uint64_t sim_random(struct sim_world *world, uint64_t below);

/* The shop writes one event, whatever kind chance says. */
void sim_world_event(struct sim_world *world);
/* One record to every crm.forward[h] (plain producer). */
void sim_world_control(struct sim_world *world, const struct forward *control);

/* `oriori playbook activate`: the text, and one control record to every shard. */
void sim_world_activate(struct sim_world *world, int variant);
/* Its two parts: Kafka's markers may let the second be seen before the first. */
void sim_world_activate_text(struct sim_world *world, int variant);
void sim_world_activate_control(struct sim_world *world, int variant);

/* One record to the crm.forward of the customer's home: his quarantine ends. */
void sim_world_release_customer(struct sim_world *world, struct span customer_id);

void sim_worker_start(struct sim_world *world, int index);
void sim_worker_kill(struct sim_world *world, int index); /* without a goodbye */
void sim_worker_end(struct sim_world *world, int index);  /* with one */
/* One turn of a live worker; a worker whose handles died in it is killed. Returns what worker_turn says. */
int32_t sim_worker_turn(struct sim_world *world, int index);

/* Its wall clock is off by so much from now on. */
void sim_worker_clock_jump(struct sim_world *world, int index, int64_t offset_ms);
void sim_worker_clock_stand(struct sim_world *world, int index, bool stands);
/* All wall clocks right and running again. */
void sim_world_clocks_mend(struct sim_world *world);
/* The whole world's wall clocks move, but no time passes for sessions: days go by in a moment. */
void sim_world_jump(struct sim_world *world, int64_t ms);

/* Everything consumed, nothing due, every shard ready. */
bool sim_world_settled(struct sim_world *world);
/* Turns all workers, time passing, dead ones started again, until settled. False: not within turn_max turns. */
bool sim_world_run(struct sim_world *world, int turn_max);

/* The whole claim. False: *ret_why says what is wrong. */
bool sim_world_audit(struct sim_world *world, char ret_why[SIM_TEXT_SIZE]);
/* What must be right at any moment, while the workers run on: of all that is committed by then, the steps without a
 * gap, their records and the changelog equal to their replay. The view may be behind. */
bool sim_world_audit_now(struct sim_world *world, char ret_why[SIM_TEXT_SIZE]);
/* Of one shard: its steps can be replayed, and its view holds what they made. */
bool sim_world_audit_shard(struct sim_world *world, int32_t shard, char ret_why[SIM_TEXT_SIZE]);

#endif
