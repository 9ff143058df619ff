#include "common/flow/metrics.h"

#include "common/base/check.h"

#include <stdio.h>

enum kind { COUNTER, GAUGE };

static void head(struct buffer *text, enum kind kind, const char *name, const char *help)
{
    buffer_format(text, "# HELP oriori_%s %s\n# TYPE oriori_%s %s\n", name, help, name,
                  kind == COUNTER ? "counter" : "gauge");
}

static void plain(struct buffer *text, enum kind kind, const char *name, const char *help, double value)
{
    head(text, kind, name, help);
    buffer_format(text, "oriori_%s %.17g\n", name, value);
}

/* What is counted without labels: name, member of flow_counts, meaning. */
#define COUNTS(X)                                                                                                      \
    X(records_total, records, "Records read from the inputs and from crm.forward.")                                    \
    X(undecodable_total, undecodable, "Records whose bytes could not be read (each is a dead letter).")                \
    X(records_without_events_total, without_events, "Records that say nothing that matters here (JSON mappings).")     \
    X(forwarded_off_home_total, forwarded_off_home, "Records sent on because they did not lie on their home shard.")   \
    X(forwarded_credits_total, forwarded_credits, "Referral credits sent to another customer.")                        \
    X(control_records_total, controls, "Control records in force: ticks, pauses, activations.")                        \
    X(transactions_total, transactions, "Kafka transactions committed.")                                               \
    X(steps_total, steps, "Steps: one per transaction and shard touched.")                                             \
    X(timer_visits_total, timer_visits, "Customers visited because a timer was due.")                                  \
    X(dead_letters_total, dead_letters, "Records written to crm.dead.")                                                \
    X(states_total, states, "Customer states written to crm.state.")                                                   \
    X(actions_total, actions, "Actions published.")                                                                    \
    X(transitions_total, transitions, "Transitions published.")                                                        \
    X(decisions_total, decisions, "Decisions published.")                                                              \
    X(recoveries_total, recoveries, "Recoveries begun, whatever the cause.")                                           \
    X(recovered_shards_total, recovered_shards, "Shards brought back by a recovery.")                                  \
    X(rebuilt_states_total, rebuilt_states, "States written to Redis from the changelog.")                             \
    X(births_total, births, "Shards born.")                                                                            \
    X(fences_total, fences, "Previous owners fenced.")                                                                 \
    X(unknown_time_zones_total, unknown_time_zones, "Events that named a time zone the system does not know.")

static void write_counts(const struct flow_counts *counts, struct buffer *text)
{
#define X(name, member, help) plain(text, COUNTER, #name, help, (double)counts->member);
    COUNTS(X)
#undef X
    static const char *const verdicts[] = {"applied", "duplicate", "test", "erased", "dead"};
    head(text, COUNTER, "events_total", "Events judged at their home shard, by verdict.");
    for (size_t i = 0; i < COUNT_OF(verdicts); i++)
        buffer_format(text, "oriori_events_total{verdict=\"%s\"} %llu\n", verdicts[i],
                      (unsigned long long)counts->verdicts[i]);
}

static void write_shards(const struct worker *worker, int64_t wall_ms, struct buffer *text)
{
    static const char *const phases[] = {"absent", "waiting", "ready", "stopped"};
    int counts[4] = {0};
    for (int32_t i = 0; i < worker->config.shard_count; i++)
        counts[worker->shards[i].phase]++;
    head(text, GAUGE, "shards",
         "Shards by phase: absent (somebody else's), waiting (recovering), ready, stopped (needs people).");
    for (int i = 0; i < 4; i++)
        buffer_format(text, "oriori_shards{phase=\"%s\"} %d\n", phases[i], counts[i]);
    head(text, GAUGE, "timer_delay_seconds",
         "How long the oldest timer of a ready shard has been due; 0 = none is late.");
    for (int32_t i = 0; i < worker->config.shard_count; i++) {
        const struct shard *shard = &worker->shards[i];
        if (shard->phase != SHARD_READY)
            continue;
        int64_t late = shard->next_wake_at == NEVER ? 0 : wall_ms - shard->next_wake_at;
        buffer_format(text, "oriori_timer_delay_seconds{shard=\"%d\"} %.3f\n", (int)i,
                      late > 0 ? (double)late / 1000 : 0.0);
    }
    head(text, GAUGE, "shard_seq", "Number of the shard's last committed transaction.");
    for (int32_t i = 0; i < worker->config.shard_count; i++)
        if (worker->shards[i].phase == SHARD_READY)
            buffer_format(text, "oriori_shard_seq{shard=\"%d\"} %lld\n", (int)i, (long long)worker->shards[i].seq);
}

/* Resident memory by /proc: pages, the second figure of statm. */
static double resident_bytes(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file)
        return 0;
    if (fscanf(file, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return (double)resident * 4096;
}

void metrics_write(const struct worker *worker, const char *version, int64_t wall_ms, struct buffer *text)
{
    const struct playbook *playbook = worker->config.world->playbook;
    head(text, GAUGE, "build_info", "Always 1: this program's version and the playbook that it runs.");
    buffer_format(text, "oriori_build_info{version=\"%s\",playbook=\"", version);
    for (size_t i = 0; i < 6; i++)
        buffer_format(text, "%02x", playbook->hash[i]);
    buffer_add_text(text, "\"} 1\n");
    write_counts(&worker->counts, text);
    plain(text, GAUGE, "ready", "1 when every shard of this worker serves.", worker_ready(worker));
    plain(text, GAUGE, "clock_skewed",
          "1 while this machine's clock and Redis's differ too much; time stands still then.", worker->skewed);
    plain(text, GAUGE, "group_generation", "Generation of the consumer group as of the last assignment.",
          worker->generation);
    plain(text, GAUGE, "batch_records_max", "Records that a batch may take now; it shrinks when a batch was too large.",
          (double)worker->batch_records);
    plain(text, GAUGE, "resident_memory_bytes", "Resident memory of this process.", resident_bytes());
    write_shards(worker, wall_ms, text);
}
