/* The counts of the `summary` record (R85). */
#ifndef ORIORI_WORKERS_SIMULATE_TALLY_H
#define ORIORI_WORKERS_SIMULATE_TALLY_H

#include "common/base/buffer.h"
#include "common/engine/step.h"

#include <stdint.h>

enum { CLASS_VALUES_MAX = 16, RULES_MAX = 4096, RULES_MET = 64 };

struct tally_rule {
    struct span name; /* owned */
    int64_t outcomes[OUTCOME_COUNT];
    int64_t sends;
};

struct tally {
    int64_t read, applied, duplicate, test, erased, dead_letter;
    int64_t transitions[DIMENSION_COUNT][CLASS_VALUES_MAX + 1][CLASS_VALUES_MAX]; /* [dimension][from + 1][to] */
    struct tally_rule *rules;                                                     /* in the order first seen */
    size_t rule_count;
    struct { const char *name; uint32_t rule; } met[RULES_MET]; /* a guess, by where a name lies: its text is compared */
    int64_t revokes;
    int64_t members[DIMENSION_COUNT][CLASS_VALUES_MAX]; /* customers at the end, known and not erased */
    uint64_t *unknown_zones;                            /* XXH64 of the names, an open table, 0 = free */
    size_t unknown_zone_slots;
    size_t unknown_zone_count;
};

void tally_init(struct tally *tally);
void tally_release(struct tally *tally);

void tally_verdict(struct tally *tally, enum verdict verdict);
void tally_record(struct tally *tally, const struct record *record);
/* What the engine counted instead of recording (struct step_world). */
void tally_counts(struct tally *tally, const struct playbook *playbook, const struct rule_counts *counts);
void tally_unknown_zone(struct tally *tally, struct span name); /* each name counts once */
void tally_customer(struct tally *tally, const struct customer_report *report);

/* clock NEVER = null: not one event and no --until. */
void tally_json_write(const struct tally *tally, int64_t clock, struct buffer *buffer);

#endif
