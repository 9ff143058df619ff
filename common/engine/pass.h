/* A pass is one customer at one instant: one event applied, or his timers firing. step.c leads it through its stages,
 * in the order of R42; each stage is a file of its own and reads and writes only this struct:
 *
 *     read -> transitions -> revokes -> cancelled -> triggers -> anchors -> calendar -> decisions
 *
 * Internal to the engine; the world outside calls step.h. */
#ifndef ORIORI_ENGINE_PASS_H
#define ORIORI_ENGINE_PASS_H

#include "common/engine/classes.h"
#include "common/engine/runs.h"
#include "common/engine/window.h"

/* Of which rules it is known whether they leave this customer out (R72): bits by the rule's place in the playbook.
 * Beyond these many each decision works it out anew. */
enum { HOLDOUTS_REMEMBERED = 64 };
struct holdouts {
    uint64_t known, held_out;
};

/* The last key of one kind that was made of an order's id (R47); key "" = none yet in this visit. */
struct order_key {
    struct span order_id, key;
};

struct pass {
    /* of the visit: pass_begin */
    const struct step_world *world;
    const struct playbook *playbook;
    struct arena *arena;
    struct span customer_id;
    int64_t now;
    bool another_playbook; /* than at the last step (R81) */
    bool failure_new;      /* the FAILED was not known before */
    bool source_left;           /* a source may name nothing any more (facts_forget_sources) */
    const struct event *event;  /* whose step it is; NULL = timers fire */
    struct fold_change change;  /* that the event made */
    struct fact_values *values; /* the customer's; a run's are laid over them */
    uint64_t values_known;      /* FACT_BITs: of the customer's those that are in */
    struct order_key cycle_key, order_key; /* "cycle:...", "order:..." */
    struct record *records, *records_last;
    struct record *transitions; /* the first record of this pass's transitions; NULL = none */
    uint64_t moments;           /* CLASS_BITs in which these end */

    /* of the customer: his state, and what was made of it. An open state (open_state.h) keeps all this to the next
     * visit */
    bool facts_stand;      /* nothing of them was changed: they are tidy */
    bool run_texts_stand;  /* all that the runs name lies in it, or is the playbook's */
    struct text_room texts;
    bool figures_stand; /* the facts are as they were when figures was computed; figures_hold says until when */
    uint32_t figures_parts; /* unless figures_stand: what of them is not of the facts any more */
    uint64_t classes_stale; /* FACT_BITs: what may have changed since head.classes was read, as figures_changed_facts */
    int64_t boundary_at;    /* the clock alone has changed the figures, here first; NEVER = a fact changed, or nothing */
    uint64_t dates_stale;   /* the same since the calendar was read; classes, too */
    int64_t dates_at;       /* when the first of the calendar's runs comes due; NEVER = not read yet */
    bool dates_zone_known;
    const struct zone *dates_zone; /* by which these are due, when known */
    uint32_t anchors_stand;   /* set of enum anchor_fact: they were read, and nothing that they depend on has changed */
    uint32_t anchors_settled; /* and of them whose rules are all on them, so that they depend on no other live order */
    bool zone_ready;
    const struct zone *zone;  /* the customer's (R33), when zone_ready */
    int64_t offset, offset_from, offset_until; /* the wall clock there shows so many ms more than UTC, from, until */
    struct holdouts holdouts; /* of one customer and one playbook: for ever */
    struct state_head head;
    struct runs runs;
    struct figures figures; /* at now, once they were read */
    struct facts facts;
};

/* ---- pass.c: what every stage needs ---- */

void pass_read(struct pass *pass);                                    /* figures at now; forgets what was read before */
struct record *pass_record(struct pass *pass, enum record_type type); /* appended, numbered (R85) */
struct span pass_event_id(const struct pass *pass);                   /* "" when timers fire */
struct span pass_trace(const struct pass *pass);                      /* of the event, as in struct event */
const struct zone *pass_zone(struct pass *pass);                      /* R33 */
int64_t pass_local(struct pass *pass);                                /* the wall clock there, as if UTC */
struct wall_clock pass_clock(struct pass *pass);
int64_t pass_today(struct pass *pass);                                /* local day since 1970 */
uint32_t pass_order(const struct pass *pass, struct span order_id);   /* FACT_NONE = none of that id */
struct span pass_order_id(const struct pass *pass, uint32_t order);   /* "" for FACT_NONE */
struct span pass_cycle_order(const struct pass *pass); /* id of the cycle's first live order; "" = none (R48) */
bool pass_order_in_cycle(const struct pass *pass, struct span order_id);
struct span pass_text(struct pass *pass, struct span a, struct span b, struct span c); /* put together, in the arena */

/* The text as a run may keep it: in the open state's room while there is some, else as it is. */
struct span pass_bring_text(struct pass *pass, struct span text);
static inline struct span pass_run_text(struct pass *pass, struct span text)
{
    bool lasts = text.size == 0 || text_room_has(&pass->texts, text.data);
    return lasts ? text : pass_bring_text(pass, text);
}

/* The customer's facts, classes included, with a run's laid over them (run NULL: none); only those that `facts`, a set of
 * FACT_BITs, names. Valid until the next call. */
const struct fact_values *pass_values(struct pass *pass, const struct run *run, uint64_t facts);

struct customer_classes pass_classes(struct pass *pass); /* by the figures: to be head.classes before any pass_values */

/* ---- transition.c ---- */

/* Compares the classes with those of the step before, publishes the differences (R13, R41, R42) and keeps the new ones.
 */
void transitions_find(struct pass *pass);

/* The first transition of this pass at or after record; NULL = no more. */
const struct record *transitions_next(const struct record *record);

/* ---- run.c: what a run is made of ---- */

/* A trigger moment of a rule: everything that its run needs to know. Texts are borrowed. */
struct occurrence {
    struct span order_id; /* R48; "" = none */
    int64_t anchor_at;
    bool backfill;         /* R7 */
    int64_t arrived_at;    /* of a backfill anchor: the clock at which it arrived; NEVER = not known */
    struct span event_id;  /* key delivery */
    struct span answer_id; /* key response: "survey/response" */
    struct span friend_id; /* key referral */
    struct span concern;   /* key concern */
    struct span value;     /* key to */
    struct span date;      /* key date */
    bool has_response;
    uint64_t survey, response;
};

struct span run_key(struct pass *pass, const struct rule *rule, const struct occurrence *occurrence); /* R47 */
int64_t run_delay(const struct pass *pass, const struct rule *rule, struct span order_id);            /* ms, R17 */
/* R50: anchor + delay + that many slots; never beyond what a state may hold, whatever a damaged one said. */
int64_t run_due_at(const struct pass *pass, const struct rule *rule, int64_t anchor_at, struct span order_id,
                   int32_t slots);

/* (rule, key, n) was published, or the once-per-cycle rule was under another live order of the cycle (R47, R48). */
bool run_published(struct pass *pass, const struct rule *rule, struct span key, int32_t n);
bool run_used(struct pass *pass, const struct rule *rule, const struct run *run); /* the same of the run's own */

/* A trigger moment: makes the run (or the series' next slot, R50), in place of one that waits under the same key. */
void run_trigger(struct pass *pass, const struct rule *rule, const struct occurrence *occurrence);
/* That of a rule on an anchor of which no run waits; track as below. */
void run_begin(struct pass *pass, const struct rule *rule, struct track *track, const struct occurrence *occurrence);

/* The rule's track, which names this anchor now (R49). track: runs_track of the rule. */
struct track *run_track_anchor(struct pass *pass, const struct rule *rule, struct track *track,
                               const struct occurrence *occurrence);

/* An anchor that has moved: the waiting run of the rule follows it (R49). */
void run_move(struct pass *pass, const struct rule *rule, struct track *track, struct run *run,
              const struct occurrence *occurrence);

/* The fact that a waiting run hangs on has become a backfill fact by an edit (R7): the run is decided in this step, as
 * `backfill`; of a series only a slot that was due. Nothing where the fact is not one, or was one before. */
void run_silence(struct pass *pass, const struct rule *rule, struct run *run, const struct occurrence *occurrence);

/* The slot of a series was decided for good: makes the next (R50), unless the series is over. */
void run_next_slot(struct pass *pass, const struct rule *rule, const struct run *slot, bool over);

bool run_series_continues(struct pass *pass,
                          const struct track *track); /* the last anchor's order is of the present cycle */
struct run *run_waiting(struct pass *pass, const struct rule *rule); /* the first of the rule; NULL = none */
bool run_before(const struct pass *pass, const struct run *a, const struct run *b); /* the order of R2 */

/* ---- trigger.c, anchor.c ---- */
void triggers_fire(struct pass *pass);             /* R41, R47, R60, R63 */
void anchors_read(struct pass *pass);              /* R49 */
void calendar_read(struct pass *pass, bool quiet); /* R62; quiet: nothing but the clock has changed, as pass_decide */

/* ---- revoke.c ---- */
void revokes_make(struct pass *pass); /* R78 a, c, d */
void runs_cancel(struct pass *pass);  /* R79, R56 */
void runs_erase(struct pass *pass);   /* R31, R78 b */

/* ---- decision.c ---- */

/* Decides the runs that are due, one after the other in the order of R2, until none is. fire: those due exactly now
 * that were there before this pass, too. */
void decisions_make(struct pass *pass, bool fire);

/* Publishes a run's decision; until NEVER = none. values may be empty. */
void decision_publish(struct pass *pass, const struct run *run, enum outcome outcome, struct span detail, int64_t until,
                      struct named_list values);

/* ---- guard.c ---- */
struct verdict_guard {
    enum outcome outcome; /* OUTCOME_SENT: may go, by channel */
    struct span detail;
    int64_t until; /* OUTCOME_DEFERRED */
    enum channel channel;
};
struct verdict_guard guards_check(struct pass *pass, const struct rule *rule, const struct run *run); /* R66 to R75 */

/* ---- action.c ---- */
void action_send(struct pass *pass, const struct rule *rule, const struct run *run, enum channel channel);
void action_revoke(struct pass *pass, const struct sent *sent, enum revoke_reason reason);

/* ---- change.c ---- */
void playbook_change(struct pass *pass); /* R81, when the playbook is another one than at the last step */

#endif
