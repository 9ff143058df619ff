/* What the state keeps about the runs of rules: those that wait, the anchors and series they hang on, what was published,
 * and what the guards count. A function of the log, decoded from the blob's last field (runs_codec.c), small.
 *
 * A run is one occurrence of a rule (R47) on its way to its one final decision. It waits, is held by a deferral (R68) or by
 * an operator's pause (R66). Rules are kept by name where a record may have to name them after the playbook dropped them
 * (R81), else by a hash of the name. Memory is the arena's; texts borrow from the blob, the playbook or the arena. */
#ifndef ORIORI_ENGINE_RUNS_H
#define ORIORI_ENGINE_RUNS_H

#include "common/engine/state_codec.h"

/* Slots of one series: two centuries of hours, and with the longest period that a playbook may name still no overflow of
 * a time. A state that says more is none of ours; a series that came so far would end. */
enum { SLOT_MAX = 1 << 21 };

enum run_state { RUN_WAITING, RUN_DEFERRED, RUN_HELD, RUN_STATE_COUNT };

struct run {
    /* what every visit asks of every run, side by side */
    int64_t decide_at;      /* due_at, or later by a deferral */
    int rule_index;         /* in playbook->rules; -1 = not there */
    bool fresh;             /* made or moved in this pass; not in the state. runs_stir tells */
    bool ended;             /* runs_end: never due again, to be swept by runs_sweep; not in the state */

    struct span rule;       /* name */
    struct span key;        /* R47 */
    struct span order_id;   /* that it belongs to (R48); "" = none */
    int32_t n;
    enum run_state state;
    int64_t anchor_at;      /* R4, R5 */
    int64_t due_at;         /* first due time: staleness, expiry (R68, R74) */
    int64_t backfill_until; /* R7: slots due at or before are decided `backfill`; NEVER = none. INT64_MAX = any */
    bool has_response;      /* it is about one answer */
    uint64_t survey, response; /* hashes, as in struct response */
    struct span trace;      /* of the event that made or last moved it, as in struct event; "" = none */
};

/* The last anchor of a rule, so that the same anchor is not decided twice (R49), and how far its series has come (R50).
 * Kept for rules on anchors and for rules that repeat. A series that another cycle replaced leaves its numbers behind, as a
 * `past` track: its key's scope may come back when orders are voided or turn up. */
struct track {
    uint32_t rule;        /* runs_rule_hash */
    int rule_index;       /* in playbook->rules; -1 = not there. Trusted only under the playbook of the last step */
    int64_t at;           /* the anchor's time */
    struct span order_id; /* the run's order; "" = none */
    int32_t n;            /* the last slot decided under order_id; of what counts for ever, under any; 0 = none */
    int32_t m;            /* the slot at which the series was last triggered */
    bool ended;           /* the series is over: `while` failed or its slots are used up */
    bool gone;            /* the anchor vanished since */
    bool past;            /* only n and order_id still matter */
};

/* A send that a revoke could still reach: published, unrevoked, unexpired (R78). In order of sending. */
struct sent {
    struct span rule;
    struct span key;
    struct span order_id;
    struct span variant;
    int32_t n;
    enum action_class class;
    enum audience audience;
    enum channel channel;
    int64_t due_at, made_at, send_after, expires_at; /* expires_at NEVER = never */
    int rule_index;                                  /* in playbook->rules; -1 = not there */
    struct span trace;                               /* its run's, for a revoke */
    bool ended;                                      /* not in the state */
};

/* (rule, key, n) that was published (R47). Most keys are kept as what they are made of, as far as an order or answer that
 * they name is among the facts; all others as a hash. */
enum key_kind { KEY_EVER, KEY_CYCLE, KEY_ORDER, KEY_TO, KEY_RESPONSE, KEY_CONCERN, KEY_DATE, KEY_OTHER };
struct published {
    uint32_t rule;        /* runs_rule_hash */
    int rule_index;       /* as in struct track */
    int32_t n;
    enum key_kind kind;   /* not KEY_OTHER */
    int32_t number;       /* KEY_TO: a class (CLASS_NUMBER); KEY_CONCERN: enum concern; KEY_DATE: day since 1970; else 0 */
    union {
        struct span order_id; /* KEY_CYCLE, KEY_ORDER, KEY_TO; "" where it names none */
        struct { uint64_t survey, response; } answer; /* KEY_RESPONSE: hashes, as in struct response */
    };
};
/* Whether it names an order, which may then lie among the facts. */
static inline bool published_names_order(const struct published *published)
{
    return published->kind == KEY_CYCLE || published->kind == KEY_ORDER || published->kind == KEY_TO;
}
struct used_key {
    uint64_t key;  /* runs_key_hash */
    uint32_t fact; /* of the order or answer that the key names (runs_fact_hash); 0 = none */
};

struct day_count { /* R70 */
    int64_t day;   /* local, since 1970 */
    int64_t count; /* marketing sends made on it */
};

struct arrival { /* R7: when a backfill record was applied, on which a series may hang */
    uint32_t record; /* upper half of stamp_record, never 0; or ARRIVAL_FORGOTTEN */
    int64_t at;      /* clock */
};
enum { ARRIVAL_FORGOTTEN = 0 }; /* the first of the arrivals may stand for all older ones: the latest of them */

struct last_sent { /* R73 */
    uint32_t rule;  /* runs_rule_hash */
    int rule_index; /* as in struct track */
    int64_t at;
};

/* A set of pairs (rule, n) that may say yes to others, too: most of what is asked is answered without a look at what
 * was published. */
struct rule_slots {
    uint64_t bits[4];
};

struct runs {
    uint64_t playbook;    /* mark of the playbook of the last step (R81); 0 = no step yet */
    bool consent;         /* after the last step: consent that ends revokes (R78) */
    int64_t next_change_at; /* figures->next_change_at of the last step, so that a visit need not compute it anew */
    FACT_ARRAY(struct run, waiting);
    /* None of them is to be decided before; NEVER = none waits. Exact after runs_sweep, and after decisions_make when
     * something was due; too low does no harm. Not in the state. */
    int64_t first_at;
    bool stirred;     /* one of them is new, was moved or has ended since runs_sweep. Not in the state */
    FACT_ARRAY(struct track, tracks); /* in no order that means anything */
    FACT_ARRAY(struct sent, sent);
    int64_t sent_ends_at; /* nothing of sent is of no use before; NEVER = not known. Not in the state */
    int64_t days_end_at;  /* the same of days, wherever the customer lives */
    FACT_ARRAY(struct published, published);
    FACT_ARRAY(struct used_key, used); /* by key, ascending */
    struct rule_slots published_slots, used_slots; /* of these two, and perhaps of more; not in the state */
    FACT_ARRAY(struct day_count, days);
    FACT_ARRAY(struct last_sent, last_sent);
    FACT_ARRAY(struct arrival, arrivals); /* RUNS_ARRIVALS_MAX at most, in order of arrival */
};

/* Among more than so many the oldest are known as one, by the latest of them: a slot between a backfill fact's own arrival
 * and that moment is then decided `backfill`, too. What was due before its arrival never counts as live. */
enum { RUNS_ARRIVALS_MAX = 128 };

void runs_init(struct runs *runs);

uint32_t runs_rule_hash(struct span rule);
uint32_t runs_fact_hash(struct span id); /* of an order id; never 0 */
uint32_t runs_response_hash(uint64_t survey, uint64_t response); /* of an answer; never 0 */

/* The pointers below are valid until the next addition to the same array. */
struct run *runs_add(struct runs *runs, struct arena *arena); /* zeroed; runs_stir when it is made */
void runs_stir(struct runs *runs, const struct run *run); /* after its decide_at was changed or it was made fresh */
void runs_end(struct runs *runs, struct run *run);
struct track *runs_track(const struct runs *runs, int rule_index); /* not a past one; NULL = none */
struct track *runs_track_add(struct runs *runs, struct arena *arena, const struct rule *rule);
void runs_sent_add(struct runs *runs, struct arena *arena, const struct sent *sent);
void runs_mark_published(struct runs *runs); /* what was read from a blob */
bool runs_used(const struct runs *runs, const struct rule *rule, struct span key, int32_t n);
bool runs_used_as_hash(const struct runs *runs, const struct rule *rule, struct span key, int32_t n);
bool runs_may_use_hash(const struct runs *runs, const struct rule *rule, int32_t n); /* false: under no key, surely */
/* The first place in published from `from` on of the rule and n, under whatever key; published_count = none. */
uint32_t runs_published_from(const struct runs *runs, const struct rule *rule, int32_t n, uint32_t from);
bool runs_never_published(const struct runs *runs, const struct rule *rule, int32_t n); /* true: under no key, surely */
/* The same for the key `response:` of a run about an answer, which need not be told by its text. */
bool runs_used_answer(const struct runs *runs, const struct rule *rule, const struct run *run);
/* The run's key, unused so far, is used from now on. */
void runs_use(struct runs *runs, struct arena *arena, const struct rule *rule, const struct run *run);

void runs_count_send(struct runs *runs, struct arena *arena, int64_t day);
/* R70: on local day `today`, and on it and the six days before. */
struct sends {
    int64_t day, week;
};
struct sends runs_sends(const struct runs *runs, int64_t today);
int64_t runs_last_sent(const struct runs *runs, const struct rule *rule);      /* NEVER = never */
void runs_set_last_sent(struct runs *runs, struct arena *arena, const struct rule *rule, int64_t at);

void runs_arrived(struct runs *runs, struct arena *arena, uint64_t record, int64_t at);
/* Of a forgotten one, the latest forgotten; NEVER = not known, and none was forgotten. */
int64_t runs_arrival(const struct runs *runs, uint64_t record);

void runs_sweep(struct runs *runs); /* the end of a pass: drops what ended, no run is fresh any more */

/* Drops what time has made useless at `now`; of the days, from days_end_at on, on local day `today`. */
void runs_expire(struct runs *runs, int64_t now);
void runs_expire_days(struct runs *runs, int64_t today);

/* What may still be asked of single facts: folding leaves it in the arrays (R11). In the arena. */
struct facts_asked runs_asked(const struct runs *runs, const struct facts *facts, struct arena *arena);

/* Drops the used keys that name a fact that is not among the facts any more (head of RULINGS.md, R11): nothing asks for
 * them. */
void runs_forget_folded(struct runs *runs, const struct facts *facts);

/* The blob's last field, behind the facts, whose orders it names by their place. The decoder finds the rules in the playbook
 * and gives false where the bytes are not ours. */
void runs_encode(const struct runs *runs, const struct playbook *playbook, const struct facts *facts,
                 struct state_writer *writer);
bool runs_decode(struct runs *runs, const struct playbook *playbook, const struct facts *facts, struct arena *arena,
                 struct state_reader *reader);

#endif
