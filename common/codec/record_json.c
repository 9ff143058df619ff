#include "common/codec/record_json.h"

#include "common/codec/json.h"

/* Every helper writes `"key":value,`; object_end turns the last comma into the brace. */
static void add_key(struct buffer *buffer, const char *key)
{
    buffer_add_char(buffer, '"');
    buffer_add_text(buffer, key);
    buffer_add(buffer, "\":", 2);
}

static void object_end(struct buffer *buffer)
{
    if (buffer->data[buffer->size - 1] == ',')
        buffer->data[buffer->size - 1] = '}';
    else
        buffer_add_char(buffer, '}');
}

static void add_null(struct buffer *buffer, const char *key)
{
    add_key(buffer, key);
    buffer_add(buffer, "null,", 5);
}

static void add_integer(struct buffer *buffer, const char *key, int64_t value)
{
    add_key(buffer, key);
    buffer_add_integer(buffer, value);
    buffer_add_char(buffer, ',');
}

/* absent: the value that means null. */
static void add_integer_unless(struct buffer *buffer, const char *key, int64_t value, int64_t absent)
{
    if (value == absent)
        add_null(buffer, key);
    else
        add_integer(buffer, key, value);
}

static void add_time(struct buffer *buffer, const char *key, int64_t time)
{
    add_integer_unless(buffer, key, time, NEVER);
}

static void add_boolean(struct buffer *buffer, const char *key, bool value)
{
    add_key(buffer, key);
    buffer_add_text(buffer, value ? "true," : "false,");
}

static void add_text(struct buffer *buffer, const char *key, struct span text)
{
    add_key(buffer, key);
    json_add_text(buffer, text);
    buffer_add_char(buffer, ',');
}

static void add_text_or_null(struct buffer *buffer, const char *key, struct span text)
{
    if (span_empty(text))
        add_null(buffer, key);
    else
        add_text(buffer, key, text);
}

/* A word of ours: nothing to escape. NULL = null. */
static void add_word(struct buffer *buffer, const char *key, const char *word)
{
    if (word == NULL) {
        add_null(buffer, key);
        return;
    }
    add_key(buffer, key);
    buffer_add_char(buffer, '"');
    buffer_add_text(buffer, word);
    buffer_add(buffer, "\",", 2);
}

static void add_named_value(struct buffer *buffer, const struct named *item)
{
    switch (item->type) {
    case NAMED_NULL:
        buffer_add_text(buffer, "null");
        break;
    case NAMED_INTEGER:
        buffer_add_integer(buffer, item->integer);
        break;
    case NAMED_BOOLEAN:
        buffer_add_text(buffer, item->integer != 0 ? "true" : "false");
        break;
    case NAMED_TEXT:
        json_add_text(buffer, item->text);
        break;
    }
}

static void add_named(struct buffer *buffer, const char *key, const struct named_list *list)
{
    add_key(buffer, key);
    buffer_add_char(buffer, '{');
    for (size_t i = 0; i < list->count; i++) {
        json_add_text(buffer, list->items[i].name);
        buffer_add_char(buffer, ':');
        add_named_value(buffer, &list->items[i]);
        buffer_add_char(buffer, ',');
    }
    object_end(buffer);
    buffer_add_char(buffer, ',');
}

static void add_classes(struct buffer *buffer, const struct customer_classes *classes)
{
    add_word(buffer, "tier", class_value_name(DIMENSION_TIER, (int)classes->tier));
    add_word(buffer, "phase", class_value_name(DIMENSION_PHASE, (int)classes->phase));
    add_word(buffer, "growth", class_value_name(DIMENSION_GROWTH, (int)classes->growth));
    add_word(buffer, "segment", class_value_name(DIMENSION_SEGMENT, (int)classes->segment));
    add_integer(buffer, "cycle", classes->cycle);
}

static void add_transition(struct buffer *buffer, const struct transition *t)
{
    add_word(buffer, "dimension", dimension_name(t->dimension));
    add_word(buffer, "from", class_value_name(t->dimension, t->from));
    add_word(buffer, "to", class_value_name(t->dimension, t->to));
    add_word(buffer, "direction", direction_name(t->direction));
    add_boolean(buffer, "rest", t->rest);
    add_word(buffer, "cause", cause_name(t->cause));
    add_text_or_null(buffer, "event_id", t->event_id);
    add_integer(buffer, "effective_at", t->effective_at);
    add_integer(buffer, "cycle", t->cycle);
    add_boolean(buffer, "returned", t->returned);
    add_boolean(buffer, "backfill", t->backfill);
    add_named(buffer, "evidence", &t->evidence);
}

static void add_action(struct buffer *buffer, const struct action *a)
{
    char id[UUID_TEXT_SIZE + 1];
    uuid_text(&a->action_id, id);
    add_word(buffer, "kind", action_kind_name(a->kind));
    add_word(buffer, "action_id", id);
    add_text(buffer, "rule", a->rule);
    add_text(buffer, "key", a->key);
    add_integer(buffer, "n", a->n);
    add_text_or_null(buffer, "template", a->template_name);
    add_word(buffer, "channel", channel_name(a->channel));
    add_word(buffer, "audience", audience_name(a->audience));
    add_word(buffer, "class", action_class_name(a->class));
    add_key(buffer, "state");
    buffer_add_char(buffer, '{');
    add_classes(buffer, &a->classes);
    object_end(buffer);
    buffer_add_char(buffer, ',');
    add_text_or_null(buffer, "order_id", a->order_id);
    add_text_or_null(buffer, "event_id", a->event_id);
    add_time(buffer, "due_at", a->due_at);
    add_time(buffer, "made_at", a->made_at);
    add_time(buffer, "send_after", a->send_after);
    add_time(buffer, "expires_at", a->expires_at);
    add_named(buffer, "variables", &a->variables);
    add_text(buffer, "playbook_version", a->playbook_version);
    add_text_or_null(buffer, "variant", a->variant);
    add_word(buffer, "reason", revoke_reason_name(a->reason));
}

static void add_decision(struct buffer *buffer, const struct decision *d)
{
    add_text(buffer, "rule", d->rule);
    add_text(buffer, "key", d->key);
    add_integer(buffer, "n", d->n);
    add_word(buffer, "outcome", outcome_name(d->outcome));
    add_text_or_null(buffer, "detail", d->detail);
    add_time(buffer, "due_at", d->due_at);
    add_time(buffer, "until", d->until);
    add_named(buffer, "values", &d->values);
    add_text(buffer, "playbook_version", d->playbook_version);
    add_text_or_null(buffer, "event_id", d->event_id);
}

void record_json_write(const struct record *record, struct buffer *buffer)
{
    static const char *const types[] = {
        [RECORD_TRANSITION] = "transition", [RECORD_ACTION] = "action", [RECORD_DECISION] = "decision"};
    buffer_add_char(buffer, '{');
    add_word(buffer, "type", types[record->type]);
    add_integer(buffer, "at", record->at);
    add_text(buffer, "customer_id", record->customer_id);
    add_integer(buffer, "seq", record->seq);
    if (record->type == RECORD_TRANSITION)
        add_transition(buffer, &record->transition);
    else if (record->type == RECORD_ACTION)
        add_action(buffer, &record->action);
    else
        add_decision(buffer, &record->decision);
    object_end(buffer);
}

static void add_money(struct buffer *buffer, const struct customer_report *r)
{
    add_key(buffer, "money");
    buffer_add_char(buffer, '{');
    for (size_t i = 0; i < r->money_count; i++) {
        json_add_text(buffer, r->money[i].currency);
        buffer_add_char(buffer, ':');
        buffer_add_integer(buffer, r->money[i].minor);
        buffer_add_char(buffer, ',');
    }
    object_end(buffer);
    buffer_add_char(buffer, ',');
}

static void add_purchases(struct buffer *buffer, const struct customer_report *r)
{
    add_boolean(buffer, "registered_email", r->registered_email);
    add_boolean(buffer, "registered_line", r->registered_line);
    add_boolean(buffer, "consent", r->consent);
    add_integer(buffer, "purchases", r->purchases);
    add_integer(buffer, "trial", r->trial);
    add_integer(buffer, "premium", r->premium);
    add_integer(buffer, "related", r->related);
    add_money(buffer, r);
    add_time(buffer, "first_purchase_at", r->first_purchase_at);
    add_time(buffer, "last_purchase_at", r->last_purchase_at);
    add_boolean(buffer, "subscription", r->subscription);
    add_time(buffer, "subscription_since", r->subscription_since);
    add_integer(buffer, "renewals", r->renewals);
}

static void add_reactions(struct buffer *buffer, const struct customer_report *r)
{
    add_integer(buffer, "shipped", r->shipped);
    add_integer(buffer, "delivered", r->delivered);
    add_integer(buffer, "failed", r->failed);
    add_time(buffer, "first_delivery_at", r->first_delivery_at);
    add_time(buffer, "last_delivery_at", r->last_delivery_at);
    add_integer(buffer, "responses", r->responses);
    add_integer_unless(buffer, "last_satisfaction", r->last_satisfaction, 0);
    add_integer_unless(buffer, "last_nps", r->last_nps, -1);
    add_time(buffer, "last_response_at", r->last_response_at);
    add_integer(buffer, "positive", r->positive);
    add_integer(buffer, "negative", r->negative);
    add_boolean(buffer, "effect_felt", r->effect_felt);
    add_time(buffer, "last_open_at", r->last_open_at);
    add_integer(buffer, "opens_60d", r->opens_60d);
    add_integer(buffer, "clicks_60d", r->clicks_60d);
    add_integer(buffer, "referrals", r->referrals);
    add_integer(buffer, "referrals_converted", r->referrals_converted);
    add_integer(buffer, "shares", r->shares);
    add_integer(buffer, "events_attended", r->events_attended);
    add_integer(buffer, "support_contacts", r->support_contacts);
}

void report_json_write(struct span customer_id, const struct customer_report *report, struct buffer *buffer)
{
    buffer_add_char(buffer, '{');
    add_word(buffer, "type", "state");
    add_text(buffer, "customer_id", customer_id);
    if (report->erased) {
        add_boolean(buffer, "erased", true);
    } else {
        add_classes(buffer, &report->classes);
        add_purchases(buffer, report);
        add_reactions(buffer, report);
    }
    object_end(buffer);
}
