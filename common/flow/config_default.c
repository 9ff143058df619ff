#include "common/flow/worker.h"

struct flow_config flow_config_default(void)
{
    return (struct flow_config){
        .application_id = SPAN("oriori"),
        .transactional_id = SPAN("oriori-1"),
        .shard_count = 16,
        .inputs = {"crm.orders", "crm.deliveries", "crm.surveys", "crm.email-opens", "crm.customers"},
        .forward_topic = "crm.forward",
        .state_topic = "crm.state",
        .steps_topic = "crm.steps",
        .actions_topic = "crm.actions",
        .transitions_topic = "crm.transitions",
        .decisions_topic = "crm.decisions",
        .dead_topic = "crm.dead",
        .playbook_topic = "crm.playbook",
        .batch_records_max = 4000,
        .batch_bytes_max = 4 << 20,
        .batch_wait_ms = 20,
        .batch_timers_max = 500, /* a script of a few hundred keys holds the store up for about a millisecond */
        .arena_limit = 256 << 20,
        .dead_value_max = 1 << 20,
        .portion_max = 500,
        .engine = {step_visit, step_wake_at, step_erased},
        .decisions = DECISIONS_SENT_AND_BLOCKED,
        .forward_keep_ms = 7 * DAY_MS, /* as long as inputs are kept by default: a replay needs both */
        .skew_max_ms = 60 * SECOND_MS,
        .tries_max = 10,
        .wait_pending_ms = 1000,
        .call_timeout_ms = 1000,
        .backoff_ms = 100,
        .backoff_max_ms = 5000,
    };
}
