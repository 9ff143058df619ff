#include "common/flow/playbooks.h"

#include "common/base/check.h"
#include "common/flow/batch.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- in hand ---- */

struct held_playbook {
    const struct step_world *world;
    struct step_world *owned; /* the same, when it is the list's own */
    struct buffer text;       /* its YAML, when it is the list's own */
};

static void list_add(struct playbooks *playbooks, struct held_playbook held)
{
    playbooks->items = realloc(playbooks->items, (playbooks->count + 1) * sizeof(*playbooks->items));
    CHECK(playbooks->items);
    playbooks->items[playbooks->count++] = held;
}

void playbooks_borrow(struct playbooks *playbooks, const struct step_world *world)
{
    list_add(playbooks, (struct held_playbook){.world = world});
}

const struct step_world *playbooks_find(const struct playbooks *playbooks, const unsigned char hash[32])
{
    for (size_t i = 0; i < playbooks->count; i++)
        if (memcmp(playbooks->items[i].world->playbook->hash, hash, 32) == 0)
            return playbooks->items[i].world;
    return NULL;
}

bool playbooks_add(struct playbooks *playbooks, const struct playbook_entry *entry, const struct zones *zones,
                   struct buffer *error)
{
    struct playbook_errors errors = {0};
    char name[PLAYBOOK_SHORT_SIZE];
    if (playbooks_find(playbooks, entry->hash))
        return true;
    struct playbook *playbook = playbook_compile(entry->yaml, playbook_short(entry->hash, name), &errors);
    bool good = playbook && memcmp(playbook->hash, entry->hash, sizeof(playbook->hash)) == 0;
    if (good) {
        struct step_world *world = calloc(1, sizeof(*world));
        CHECK(world);
        *world = (struct step_world){.playbook = playbook, .zones = zones};
        struct held_playbook held = {world, world, {0}};
        buffer_add_span(&held.text, entry->yaml);
        list_add(playbooks, held);
    } else {
        buffer_add_text(error, playbook ? "the text is not the one of its hash" : errors.text.data);
        playbook_free(playbook);
    }
    buffer_release(&errors.text);
    return good;
}

void playbooks_release(struct playbooks *playbooks)
{
    for (size_t i = 0; i < playbooks->count; i++) {
        if (!playbooks->items[i].owned)
            continue;
        playbook_free((struct playbook *)playbooks->items[i].owned->playbook);
        buffer_release(&playbooks->items[i].text);
        free(playbooks->items[i].owned);
    }
    free(playbooks->items);
    *playbooks = (struct playbooks){0};
}

const char *playbook_short(const unsigned char hash[32], char text[PLAYBOOK_SHORT_SIZE])
{
    for (size_t i = 0; i < (PLAYBOOK_SHORT_SIZE - 1) / 2; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return text;
}

struct span worker_playbook_text(const struct worker *worker, const struct step_world *world)
{
    for (size_t i = 0; i < worker->playbooks.count; i++)
        if (worker->playbooks.items[i].owned && worker->playbooks.items[i].world == world)
            return buffer_span(&worker->playbooks.items[i].text);
    return worker->config.playbook_text;
}

/* ---- crm.playbook ---- */

/* One reading of the topic: is there a text of this hash? */
struct search {
    const unsigned char *hash;
    bool found;
    bool open_end; /* the reader ended before the log does: a transaction is open, or its marker is late */
};

static void entry_take(struct worker *worker, const struct log_record *record, struct search *search,
                       struct buffer *error)
{
    struct playbook_entry entry;
    if (!playbook_entry_decode(record->value, &worker->portion, &entry) || entry.activation ||
        memcmp(entry.hash, search->hash, sizeof(entry.hash)) != 0)
        return; /* somebody else's, or another one */
    search->found = true;
    buffer_reset(error);
    playbooks_add(&worker->playbooks, &entry, worker->config.world->zones, error);
}

static enum world read_all(struct worker *worker, struct search *search, int64_t high, struct buffer *error)
{
    for (;;) {
        struct log_event event;
        enum world outcome;
        FLOW_INSIST(worker, outcome, log_reader_next(worker->log, worker->config.call_timeout_ms, &event));
        if (outcome != WORLD_DONE)
            return outcome;
        if (event.happening == LOG_END) {
            search->open_end = event.offset < high;
            return WORLD_DONE;
        }
        if (event.happening != LOG_RECORD)
            return WORLD_AGAIN;
        if (!event.record.value_null)
            entry_take(worker, &event.record, search, error);
        arena_reset(&worker->portion);
    }
}

static enum world topic_search(struct worker *worker, struct search *search, struct buffer *error)
{
    const char *topic = worker->config.playbook_topic;
    int64_t low, high;
    enum world outcome;
    FLOW_INSIST(worker, outcome, log_watermarks(worker->log, topic, 0, &low, &high));
    if (outcome != WORLD_DONE)
        return outcome;
    arena_reset(&worker->portion);
    FLOW_INSIST(worker, outcome, log_reader_open(worker->log, topic, 0, low));
    if (outcome == WORLD_DONE)
        outcome = read_all(worker, search, high, error);
    log_reader_close(worker->log);
    return outcome;
}

enum world worker_playbook(struct worker *worker, const unsigned char hash[32], char *why, size_t why_size,
                           const struct step_world **ret_world)
{
    char name[PLAYBOOK_SHORT_SIZE];
    struct search search = {.hash = hash};
    struct buffer error = {0};
    *ret_world = playbooks_find(&worker->playbooks, hash);
    if (*ret_world)
        return WORLD_DONE;
    enum world outcome = topic_search(worker, &search, &error);
    *ret_world = playbooks_find(&worker->playbooks, hash);
    playbook_short(hash, name);
    if (outcome == WORLD_DONE && !*ret_world) {
        outcome = WORLD_AGAIN;
        if (error.size)
            snprintf(why, why_size, "its playbook %s is not one that this version can run: %s", name, error.data);
        else
            snprintf(why, why_size, "its playbook %s is neither in %s%s nor this worker's own", name,
                     worker->config.playbook_topic, search.open_end ? " (where a transaction is open)" : "");
    }
    buffer_release(&error);
    return outcome;
}

static enum world keep_transaction(struct worker *worker)
{
    const struct playbook *playbook = worker->config.world->playbook;
    struct playbook_entry entry = {
        .version = playbook->version, .activated_at = NEVER, .yaml = worker->config.playbook_text};
    char key[PLAYBOOK_KEY_SIZE];
    enum world outcome;
    memcpy(entry.hash, playbook->hash, sizeof(entry.hash));
    playbook_entry_key(&entry, key);
    buffer_reset(&worker->buffer);
    playbook_entry_encode(&entry, &worker->buffer);
    struct log_message message = {
        .topic = worker->config.playbook_topic, .key = span_of(key), .value = buffer_span(&worker->buffer)};
    FLOW_INSIST(worker, outcome, log_begin(worker->log));
    if (outcome == WORLD_DONE)
        FLOW_INSIST(worker, outcome, log_produce(worker->log, &message, NULL));
    if (outcome == WORLD_DONE)
        FLOW_INSIST(worker, outcome, log_commit(worker->log));
    return outcome;
}

enum world worker_playbook_keep(struct worker *worker)
{
    struct search search = {.hash = worker->config.world->playbook->hash};
    struct buffer error = {0};
    if (worker->playbook_kept || span_empty(worker->config.playbook_text))
        return WORLD_DONE;
    enum world outcome = topic_search(worker, &search, &error);
    if (outcome == WORLD_DONE && !search.found)
        outcome = keep_transaction(worker);
    worker->playbook_kept = outcome == WORLD_DONE;
    buffer_release(&error);
    return outcome;
}
