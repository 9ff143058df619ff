#include "workers/playbook/published.h"

#include "common/base/check.h"
#include "common/io/topic_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOOK_AGAIN_MS = 200 };

static void list_put(struct playbook_entry **list, size_t *count, const struct playbook_entry *entry)
{
    for (size_t i = 0; i < *count; i++) /* not compacted yet: the later record of a key counts */
        if (entry->activation ? (*list)[i].activation == entry->activation
                              : memcmp((*list)[i].hash, entry->hash, sizeof(entry->hash)) == 0) {
            (*list)[i] = *entry;
            return;
        }
    *list = realloc(*list, (*count + 1) * sizeof(**list));
    CHECK(*list);
    (*list)[(*count)++] = *entry;
}

static void take(void *context, const rd_kafka_message_t *message)
{
    struct published *published = context;
    struct playbook_entry entry;
    struct span value = arena_copy(&published->arena, (struct span){message->payload, message->len});
    if (!playbook_entry_decode(value, &published->arena, &entry))
        return; /* not one of ours */
    if (entry.activation)
        list_put(&published->activations, &published->activation_count, &entry);
    else
        list_put(&published->texts, &published->text_count, &entry);
}

static int activation_order(const void *left, const void *right)
{
    int64_t a = ((const struct playbook_entry *)left)->activation,
            b = ((const struct playbook_entry *)right)->activation;
    return (a > b) - (a < b);
}

/* Where the log ends now, whatever is open there. */
static bool log_end(const struct config *config, const char *topic, int64_t *ret_end, struct buffer *error)
{
    struct kafka_trouble trouble = {0};
    int64_t low;
    rd_kafka_t *client = kafka_new_admin(config, &trouble, error);
    if (client == NULL)
        return false;
    rd_kafka_resp_err_t code =
        rd_kafka_query_watermark_offsets(client, topic, 0, &low, ret_end, (int)config->timeout_request_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        buffer_format(error, "topic %s: %s%s%s", topic, rd_kafka_err2str(code), trouble.text[0] ? ": " : "",
                      trouble.text);
    rd_kafka_destroy(client);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* An activation behind somebody's open transaction must not be missed by who decides whether there is one. */
static bool read_whole(const struct config *config, const char *topic, struct published *published,
                       struct buffer *error)
{
    int64_t end, reached, left = config->timeout_transaction_ms + config->timeout_request_ms;
    bool good = log_end(config, topic, &end, error) && topic_read_to(config, topic, take, published, &reached, error);
    for (; good && reached < end && left > 0; left -= LOOK_AGAIN_MS) {
        nanosleep(&(struct timespec){0, LOOK_AGAIN_MS * 1000000L}, NULL);
        good = topic_read_to(config, topic, take, published, &reached, error);
    }
    if (good && reached < end)
        buffer_format(error, "topic %s: a transaction has been open there for longer than it may", topic);
    return good && reached >= end;
}

bool published_read(struct config *config, struct published *ret_published)
{
    struct buffer error = {0};
    *ret_published = (struct published){0};
    arena_init(&ret_published->arena, 0);
    bool good = read_whole(config, config_topic(config, "playbook"), ret_published, &error);
    if (!good)
        fprintf(stderr, "oriori: %s\n", error.data);
    if (ret_published->activation_count)
        qsort(ret_published->activations, ret_published->activation_count, sizeof(*ret_published->activations),
              activation_order);
    buffer_release(&error);
    return good;
}

void published_release(struct published *published)
{
    free(published->texts);
    free(published->activations);
    arena_release(&published->arena);
    *published = (struct published){0};
}

const struct playbook_entry *published_text(const struct published *published, const unsigned char hash[32])
{
    for (size_t i = 0; i < published->text_count; i++)
        if (memcmp(published->texts[i].hash, hash, sizeof(published->texts[i].hash)) == 0)
            return &published->texts[i];
    return NULL;
}

const struct playbook_entry *published_find(const struct published *published, const char *prefix, size_t *ret_count)
{
    const struct playbook_entry *found = NULL;
    char key[PLAYBOOK_KEY_SIZE];
    *ret_count = 0;
    for (size_t i = 0; i < published->text_count; i++) {
        playbook_entry_key(&published->texts[i], key);
        if (strncmp(key, prefix, strlen(prefix)) != 0)
            continue;
        found = &published->texts[i];
        ++*ret_count;
    }
    return *ret_count == 1 ? found : NULL;
}

const struct playbook_entry *published_last(const struct published *published)
{
    return published->activation_count ? &published->activations[published->activation_count - 1] : NULL;
}

const struct playbook_entry *published_last_of(const struct published *published, const unsigned char hash[32])
{
    for (size_t i = published->activation_count; i-- > 0;)
        if (memcmp(published->activations[i].hash, hash, sizeof(published->activations[i].hash)) == 0)
            return &published->activations[i];
    return NULL;
}
