#include "common/flow/metrics.h"

#include "common/base/check.h"
#include "common/base/exposition.h"
#include "common/flow/batch.h"

#include <stdio.h>

enum { LABELS_SIZE = 256 };

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
    X(histories_read_total, histories_read, "Decisions read back from their topic into histories.")                    \
    X(swept_total, swept, "Customers visited because another playbook came into force.")                               \
    X(paced_steps_total, paced_steps,                                                                                  \
      "Steps that left timers for later: the shard had sent its share (sends_per_second).")                            \
    X(states_total, states, "Customer states written to crm.state.")                                                   \
    X(actions_total, actions, "Actions published.")                                                                    \
    X(transitions_total, transitions, "Transitions published.")                                                        \
    X(decisions_total, decisions, "Decisions made, published or not.")                                                 \
    X(recoveries_total, recoveries, "Recoveries begun, whatever the cause.")                                           \
    X(recovered_shards_total, recovered_shards, "Shards brought back by a recovery.")                                  \
    X(rebuilt_states_total, rebuilt_states, "States written to Redis from the changelog.")                             \
    X(births_total, births, "Shards born.")                                                                            \
    X(fences_total, fences, "Previous owners fenced.")                                                                 \
    X(unknown_time_zones_total, unknown_time_zones, "Events that named a time zone the system does not know.")

/* ---- events, letters, rules ---- */

static void write_counts(const struct flow_counts *counts, struct buffer *text)
{
#define X(name, member, help) exposition_plain(text, EXPOSITION_COUNTER, #name, help, (double)counts->member);
    COUNTS(X)
#undef X
}

static void write_events(const struct flow_measures *measures, struct buffer *text)
{
    static const char *const verdicts[] = {"applied", "duplicate", "test", "erased", "dead"};
    char labels[LABELS_SIZE];
    exposition_head(text, EXPOSITION_COUNTER, "events_total",
                    "Events judged at their home shard, by topic and verdict.");
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (size_t i = 0; i < COUNT_OF(verdicts); i++) {
            snprintf(labels, sizeof(labels), "topic=\"%s\",verdict=\"%s\"", topic_name((enum topic)topic), verdicts[i]);
            exposition_sample(text, "events_total", labels, (double)measures->events[topic][i]);
        }
    exposition_head(text, EXPOSITION_COUNTER, "dead_letters_by_reason_total",
                    "Records written to crm.dead, by reason.");
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        snprintf(labels, sizeof(labels), "reason=\"%s\"", reason_name((enum reason)reason));
        exposition_sample(text, "dead_letters_by_reason_total", labels, (double)measures->letters[reason]);
    }
    exposition_head(text, EXPOSITION_COUNTER, "moves_total", "Transitions published, by what moved.");
    for (int dimension = 0; dimension < DIMENSION_COUNT; dimension++) {
        snprintf(labels, sizeof(labels), "dimension=\"%s\"", dimension_name((enum dimension)dimension));
        exposition_sample(text, "moves_total", labels, (double)measures->moves[dimension]);
    }
}

static void write_rule(const struct rule_measure *rule, struct buffer *labels, struct buffer *text)
{
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
        if (rule->outcomes[outcome] == 0)
            continue; /* most rules know few outcomes */
        buffer_reset(labels);
        exposition_label(labels, "rule", span_of(rule->name));
        exposition_label(labels, "outcome", span_of(outcome_name((enum outcome)outcome)));
        exposition_sample(text, "rule_decisions_total", labels->data, (double)rule->outcomes[outcome]);
    }
}

static void write_rule_actions(const struct rule_measure *rule, struct buffer *labels, struct buffer *text)
{
    const char *const kinds[] = {action_kind_name(ACTION_SEND), action_kind_name(ACTION_REVOKE)};
    const uint64_t counts[] = {rule->sent, rule->revoked};
    for (int i = 0; i < 2; i++) {
        if (counts[i] == 0)
            continue;
        buffer_reset(labels);
        exposition_label(labels, "rule", span_of(rule->name));
        exposition_label(labels, "kind", span_of(kinds[i]));
        exposition_sample(text, "rule_actions_total", labels->data, (double)counts[i]);
    }
}

void metrics_write_rules(const struct flow_measures *measures, struct buffer *text)
{
    struct buffer labels = {0};
    exposition_head(text, EXPOSITION_COUNTER, "rule_decisions_total",
                    "Decisions by rule and outcome, published or not; absent until the first one.");
    for (size_t i = 0; measures->rules && i <= MEASURE_RULES; i++)
        write_rule(&measures->rules[i], &labels, text);
    exposition_head(text, EXPOSITION_COUNTER, "rule_actions_total",
                    "Actions published, by rule and kind; absent until the first one.");
    for (size_t i = 0; measures->rules && i <= MEASURE_RULES; i++)
        write_rule_actions(&measures->rules[i], &labels, text);
    buffer_release(&labels);
}

/* ---- how long, how far behind ---- */

static void write_histogram(struct buffer *text, const char *name, const char *help, const struct histogram *histogram)
{
    exposition_head(text, EXPOSITION_HISTOGRAM, name, help);
    exposition_buckets(text, name, "", histogram);
}

static void write_times(const struct flow_measures *measures, struct buffer *text)
{
    char labels[LABELS_SIZE];
    write_histogram(text, "batch_seconds", "A batch, from fetched until applied to Redis.", &measures->batch);
    write_histogram(text, "transaction_seconds", "A batch's Kafka transaction, from begin until committed.",
                    &measures->transaction);
    write_histogram(text, "recovery_seconds", "Recoveries, from forgetting all until no shard waits.",
                    &measures->recovery);
    write_histogram(text, "timer_lateness_seconds",
                    "How late timers fire: of each step that visited some, the oldest one's delay.",
                    &measures->timers_late);
    exposition_head(text, EXPOSITION_COUNTER, "step_seconds_total",
                    "Time spent in each step of a batch's way; fetch includes waiting for records.");
    for (size_t i = 0; metrics_step_name(i); i++) {
        snprintf(labels, sizeof(labels), "step=\"%s\"", metrics_step_name(i));
        exposition_sample(text, "step_seconds_total", labels, (double)measures->step_ms[i] / SECOND_MS);
    }
}

struct lag {
    double records, seconds;
    bool unknown; /* a partition of it is ours, and where it ends has not been heard yet */
};

/* Of what this worker reads. The log counts a transaction's marker as a record: read to the end is the end. */
static void lag_add(const struct worker *worker, const struct source *source, int64_t wall_ms, struct lag *lag)
{
    int64_t end = log_end(worker->log, source->topic, source->partition);
    bool read = source_is_read(worker, source);
    bool recovers = source->shard >= 0 && worker->shards[source->shard].phase == SHARD_WAITING;
    if (recovers || (read && !source->at_end && end == LOG_OFFSET_NONE))
        lag->unknown = true;
    if (source->at_end || !read || end == LOG_OFFSET_NONE || end <= source->next)
        return;
    lag->records += (double)(end - source->next);
    double behind = source->read_at ? (double)(wall_ms - source->read_at) / SECOND_MS : 0;
    if (behind > lag->seconds)
        lag->seconds = behind;
}

static void write_lag_samples(const struct lag lags[], const char *name, bool seconds, struct buffer *text)
{
    char labels[LABELS_SIZE];
    for (int topic = 0; topic <= TOPIC_COUNT; topic++) {
        snprintf(labels, sizeof(labels), "topic=\"%s\"",
                 topic < TOPIC_COUNT ? topic_name((enum topic)topic) : "forward");
        if (!lags[topic].unknown)
            exposition_sample(text, name, labels, seconds ? lags[topic].seconds : lags[topic].records);
    }
}

static void write_lag(const struct worker *worker, int64_t wall_ms, struct buffer *text)
{
    struct lag lags[TOPIC_COUNT + 1] = {0};
    for (int topic = 0; topic <= TOPIC_COUNT; topic++)
        lags[topic].unknown = !worker->assigned;
    for (size_t i = 0; i < worker->source_count; i++)
        lag_add(worker, &worker->sources[i], wall_ms, &lags[worker->sources[i].topic]);
    exposition_head(
        text, EXPOSITION_GAUGE, "lag_records",
        "Records not yet committed in the partitions that this worker reads, by topic; absent until known.");
    write_lag_samples(lags, "lag_records", false, text);
    exposition_head(text, EXPOSITION_GAUGE, "lag_seconds",
                    "Age of the last record committed of the partition that is furthest behind; 0 = at the end.");
    write_lag_samples(lags, "lag_seconds", true, text);
}

/* ---- shards ---- */

/* Of a shard that is not served here there is nothing to say. */
static void sample_of_shard(struct buffer *text, const char *name, const struct shard *shard, double value)
{
    char labels[LABELS_SIZE];
    snprintf(labels, sizeof(labels), "shard=\"%d\"", (int)shard->index);
    if (shard->phase == SHARD_READY)
        exposition_sample(text, name, labels, value);
}

static void write_phases(const struct worker *worker, struct buffer *text)
{
    static const char *const phases[] = {"absent", "waiting", "ready", "stopped"};
    int counts[4] = {0};
    char labels[LABELS_SIZE];
    for (int32_t i = 0; i < worker->config.shard_count; i++)
        counts[worker->shards[i].phase]++;
    exposition_head(text, EXPOSITION_GAUGE, "shards",
                    "Shards by phase: absent (somebody else's), waiting (recovering), ready, stopped (needs people).");
    for (int i = 0; i < 4; i++) {
        snprintf(labels, sizeof(labels), "phase=\"%s\"", phases[i]);
        exposition_sample(text, "shards", labels, counts[i]);
    }
}

static void write_histories(const struct worker *worker, struct buffer *text)
{
    int behind = 0;
    for (int32_t i = 0; i < worker->config.shard_count && worker->histories != HISTORIES_OFF; i++)
        behind += worker->shards[i].phase == SHARD_READY && !worker->shards[i].history.whole;
    exposition_head(text, EXPOSITION_GAUGE, "histories_behind",
                    "Ready shards whose histories of decisions are being read back.");
    exposition_sample(text, "histories_behind", "", behind);
}

/* A wake-up of 0 is one that the first load will tell. */
static double timer_delay(const struct shard *shard, int64_t wall_ms)
{
    bool late = shard->next_wake_at > 0 && shard->next_wake_at != NEVER && wall_ms > shard->next_wake_at;
    return late ? (double)(wall_ms - shard->next_wake_at) / SECOND_MS : 0;
}

static void write_shards(const struct worker *worker, int64_t wall_ms, struct buffer *text)
{
    write_phases(worker, text);
    write_histories(worker, text);
    exposition_head(text, EXPOSITION_GAUGE, "timer_delay_seconds",
                    "How long the oldest timer of a ready shard has been due; 0 = none is late.");
    for (int32_t i = 0; i < worker->config.shard_count; i++)
        sample_of_shard(text, "timer_delay_seconds", &worker->shards[i], timer_delay(&worker->shards[i], wall_ms));
    exposition_head(text, EXPOSITION_GAUGE, "shard_seq", "Number of the shard's last committed transaction.");
    for (int32_t i = 0; i < worker->config.shard_count; i++)
        sample_of_shard(text, "shard_seq", &worker->shards[i], (double)worker->shards[i].seq);
}

/* What people hold back, as each shard knows it (R66). */
static void write_pauses(const struct worker *worker, struct buffer *text)
{
    exposition_head(text, EXPOSITION_GAUGE, "paused_marketing", "1 while all marketing is paused on the shard.");
    for (int32_t i = 0; i < worker->config.shard_count; i++)
        sample_of_shard(text, "paused_marketing", &worker->shards[i], worker->shards[i].control.pause_marketing);
    exposition_head(text, EXPOSITION_GAUGE, "paused_rules", "Rules that are paused on the shard, by name.");
    for (int32_t i = 0; i < worker->config.shard_count; i++)
        sample_of_shard(text, "paused_rules", &worker->shards[i], (double)worker->shards[i].control.rule_count);
    exposition_plain(text, EXPOSITION_GAUGE, "actions_shadow",
                     "1 when actions are written beside the topic that mailers read (actions: shadow).",
                     worker->config.actions_shadow);
}

/* Of no shards all run it. */
static bool file_in_force(const struct worker *worker)
{
    for (int32_t i = 0; i < worker->config.shard_count; i++)
        if (worker->shards[i].phase == SHARD_READY &&
            memcmp(worker->shards[i].control.playbook_hash, worker->file_hash, sizeof(worker->file_hash)) != 0)
            return false;
    return true;
}

static void write_playbooks(const struct worker *worker, struct buffer *text)
{
    char labels[LABELS_SIZE], name[PLAYBOOK_SHORT_SIZE];
    exposition_head(text, EXPOSITION_GAUGE, "playbook_info", "Always 1: the playbook in force on a shard.");
    for (int32_t i = 0; i < worker->config.shard_count; i++) {
        snprintf(labels, sizeof(labels), "shard=\"%d\",hash=\"%s\"", (int)i,
                 playbook_short(worker->shards[i].control.playbook_hash, name));
        if (worker->shards[i].phase == SHARD_READY)
            exposition_sample(text, "playbook_info", labels, 1);
    }
    exposition_plain(text, EXPOSITION_GAUGE, "playbook_file_in_force",
                     "1 while this worker's playbook file is what its shards run.", file_in_force(worker));
    exposition_head(text, EXPOSITION_GAUGE, "shard_sweeping",
                    "1 while the shard's customers are visited under another playbook.");
    for (int32_t i = 0; i < worker->config.shard_count; i++)
        sample_of_shard(text, "shard_sweeping", &worker->shards[i], worker->shards[i].control.sweeping);
}

/* ---- the worker as a whole ---- */

static void write_build(const struct worker *worker, const char *version, struct buffer *text)
{
    const struct playbook *playbook = worker->config.playbook_refusal ? NULL : worker->config.world->playbook;
    struct buffer labels = {0};
    char hash[PLAYBOOK_SHORT_SIZE];
    exposition_label(&labels, "version", span_of(version));
    exposition_label(&labels, "playbook", playbook ? span_of(playbook_short(playbook->hash, hash)) : SPAN(""));
    exposition_label(&labels, "playbook_version", playbook ? playbook->version : SPAN(""));
    exposition_head(text, EXPOSITION_GAUGE, "build_info",
                    "Always 1: this program's version, its config's playbook (hash, and as the file names it).");
    exposition_sample(text, "build_info", labels.data, 1);
    buffer_release(&labels);
}

static void write_state(const struct worker *worker, struct buffer *text)
{
    const struct flow_counts *counts = &worker->counts;
    exposition_plain(text, EXPOSITION_GAUGE, "ready", "1 when every shard of this worker serves.",
                     worker_ready(worker));
    exposition_plain(text, EXPOSITION_GAUGE, "clock_skewed",
                     "1 while this machine's clock and Redis's differ too much; time stands still then.",
                     worker->skewed);
    exposition_plain(text, EXPOSITION_GAUGE, "group_generation",
                     "Generation of the consumer group as of the last assignment.", worker->generation);
    exposition_plain(text, EXPOSITION_COUNTER, "rebalances_total", "Assignments that the consumer group gave us.",
                     (double)worker->measures.rebalances);
    exposition_plain(text, EXPOSITION_GAUGE, "off_home_ratio",
                     "Share of the records read since the start that had to be forwarded to their home shard.",
                     counts->records ? (double)counts->forwarded_off_home / (double)counts->records : 0);
    exposition_plain(text, EXPOSITION_GAUGE, "batch_records_max",
                     "Records that a batch may take now; it shrinks when a batch was too large.",
                     (double)worker->batch_records);
}

/* The cap of sends; 0 and no sample where there is none. */
static void write_pace(const struct worker *worker, struct buffer *text)
{
    exposition_plain(text, EXPOSITION_COUNTER, "paced_seconds_total",
                     "Time in which nothing was read: a shard had sent its share (sends_per_second).",
                     (double)worker->counts.paced_ms / SECOND_MS);
    exposition_head(text, EXPOSITION_GAUGE, "send_credit",
                    "Sends that a ready shard may publish at once; below 0 it waits. Absent without sends_per_second.");
    for (int32_t i = 0; i < worker->config.shard_count && worker->config.sends_per_second; i++)
        sample_of_shard(text, "send_credit", &worker->shards[i], (double)worker->shards[i].pace.credit / 1000);
}

void metrics_write(const struct worker *worker, const char *version, int64_t wall_ms, struct buffer *text)
{
    write_build(worker, version, text);
    write_counts(&worker->counts, text);
    write_events(&worker->measures, text);
    metrics_write_rules(&worker->measures, text);
    write_times(&worker->measures, text);
    write_lag(worker, wall_ms, text);
    write_state(worker, text);
    write_shards(worker, wall_ms, text);
    write_pace(worker, text);
    write_playbooks(worker, text);
    write_pauses(worker, text);
    exposition_plain(text, EXPOSITION_GAUGE, "arena_bytes", "Memory that the last batch took in its arena.",
                     (double)worker->arena.used);
}
