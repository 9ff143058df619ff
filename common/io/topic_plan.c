#include "common/io/topic_plan.h"

#include "common/base/check.h"

enum { INTERNAL_ROOM = 65536 };

static void set(struct topic_plan *plan, const char *name, const char *value)
{
    CHECK(plan->setting_count < TOPIC_SETTINGS_MAX);
    plan->settings[plan->setting_count++] = (struct topic_setting){name, value};
}

static void set_integer(struct config *config, struct topic_plan *plan, const char *name, int64_t value)
{
    struct buffer text = {0};
    buffer_add_integer(&text, value);
    set(plan, name, arena_copy(&config->arena, buffer_span(&text)).data);
    buffer_release(&text);
}

static void set_kept(struct config *config, struct topic_plan *plan, int64_t retention_ms)
{
    set(plan, "cleanup.policy", "delete");
    set_integer(config, plan, "retention.ms", retention_ms);
    set_integer(config, plan, "retention.bytes", -1); /* a size would cut what a slow worker has not read yet */
}

static struct topic_plan input(struct config *config, enum topic topic)
{
    static const char *const texts[TOPIC_COUNT] = {
        "orders, cancellations, refunds, subscriptions", "parcels shipped, delivered, failed, returned",
        "survey answers", "opens, clicks, bounces, complaints", "registrations, consents, referrals, shares, erasures"};
    struct topic_plan plan = {.name = config->topic_inputs[topic], .role = TOPIC_INPUT, .text = texts[topic]};
    plan.optional = topic == TOPIC_CUSTOMERS;
    plan.partitions = (int32_t)(config->topic_partitions ? config->topic_partitions : config->shards);
    set_kept(config, &plan, config->topic_retention_ms);
    set_integer(config, &plan, "max.message.bytes", config->topic_message_bytes_max);
    return plan;
}

static struct topic_plan output(struct config *config, const char *name, const char *text)
{
    struct topic_plan plan = {.name = config_topic(config, name), .role = TOPIC_OUTPUT, .text = text};
    plan.partitions = (int32_t)(config->topic_partitions ? config->topic_partitions : config->shards);
    set_kept(config, &plan, config->topic_retention_ms);
    set_integer(config, &plan, "max.message.bytes", config->topic_message_bytes_max + INTERNAL_ROOM);
    return plan;
}

static struct topic_plan internal(struct config *config, const char *name, const char *text)
{
    struct topic_plan plan = {.name = config_topic(config, name), .role = TOPIC_INTERNAL, .text = text};
    plan.partitions = (int32_t)config->shards;
    set_integer(config, &plan, "max.message.bytes", config->topic_message_bytes_max + INTERNAL_ROOM);
    return plan;
}

/* Records of crm.forward are the only copy of what their inputs' committed offsets have passed: only its owner trims.
 */
static struct topic_plan forward_topic(struct config *config)
{
    struct topic_plan plan = internal(config, "forward", "events on their way to their home shard; control records");
    set_kept(config, &plan, -1);
    return plan;
}

/* Compaction comes in small portions (segments of 64 MiB, a quarter dirty), and at the latest after a day, so that an
 * erased customer's old states do not live on. */
static struct topic_plan state_topic(struct config *config)
{
    struct topic_plan plan = internal(config, "state", "each customer's state: the truth that Redis is a view of");
    set(&plan, "cleanup.policy", "compact");
    set_integer(config, &plan, "max.compaction.lag.ms", DAY_MS);
    set_integer(config, &plan, "segment.bytes", 64 << 20);
    set_integer(config, &plan, "segment.ms", 6 * HOUR_MS); /* an open segment is never compacted */
    set(&plan, "min.cleanable.dirty.ratio", "0.25");
    return plan;
}

/* A step can be replayed as long as its input is there, so both are kept equally long. */
static struct topic_plan steps_topic(struct config *config)
{
    struct topic_plan plan = internal(config, "steps", "what each transaction did, to replay it exactly");
    set_kept(config, &plan, config->topic_retention_ms);
    return plan;
}

/* Few texts, each for as long as any step may be replayed that names it: for ever. */
static struct topic_plan playbook_topic(struct config *config)
{
    struct topic_plan plan = internal(config, "playbook", "the texts of all playbooks, and when each was activated");
    plan.partitions = 1;
    set(&plan, "cleanup.policy", "compact");
    return plan;
}

void topic_plan_fill(struct config *config, struct topic_plan ret_plan[TOPIC_PLAN_SIZE])
{
    size_t count = 0;
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        ret_plan[count++] = input(config, (enum topic)topic);
    ret_plan[count++] = output(config, "actions", "messages to send or to revoke");
    ret_plan[count++] = output(config, "actions.shadow", "the same while `actions: shadow`: nobody sends them");
    ret_plan[count++] = output(config, "transitions", "moves between tiers, phases, stages, segments");
    ret_plan[count++] = output(config, "decisions", "why a rule sent or did not send");
    ret_plan[count++] = output(config, "dead", "records that could not be applied, with the reason");
    ret_plan[count++] = forward_topic(config);
    ret_plan[count++] = state_topic(config);
    ret_plan[count++] = steps_topic(config);
    ret_plan[count++] = playbook_topic(config);
    CHECK(count == TOPIC_PLAN_SIZE);
}
