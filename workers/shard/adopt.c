#include "workers/shard/adopt.h"

#include "common/base/check.h"
#include "common/flow/batch.h"
#include "common/io/kafka_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POLL_MS = 200, COMMITTED_MS = 2000 };

struct adoption {
    struct config *config;
    int32_t shard;
    struct kafka_trouble trouble;
    struct kafka_command command;
    rd_kafka_t *admin;    /* sees the true end of a partition, open transactions included */
    rd_kafka_t *consumer; /* of the group, but no member: it only asks and reads */
    struct arena arena;
    struct buffer value; /* of the last `__meta` */
    struct meta meta;
    rd_kafka_topic_partition_list_t *found; /* committed now: crm.forward[h], then the inputs that `__meta` names */
};

static bool refuse(const struct adoption *adoption, const char *why)
{
    fprintf(stderr, "oriori: shard %d: %s%s%s%s\n", (int)adoption->shard, why, adoption->trouble.text[0] ? " (" : "",
            adoption->trouble.text, adoption->trouble.text[0] ? ")" : "");
    return false;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_MS + now.tv_nsec / 1000000;
}

/* Longer than any transaction that somebody may have left open. */
static int64_t deadline(const struct adoption *adoption)
{
    return now_ms() + adoption->config->timeout_transaction_ms + adoption->config->timeout_request_ms;
}

static bool open_clients(struct adoption *adoption)
{
    struct buffer error = {0};
    adoption->admin = kafka_new_admin(adoption->config, &adoption->trouble, &error);
    if (adoption->admin) {
        rd_kafka_conf_t *conf = kafka_conf(adoption->config, CONFIG_CLIENT_CONSUMER, &adoption->trouble);
        kafka_set(conf, "group.id", adoption->config->group_id);
        kafka_set(conf, "isolation.level", "read_committed"); /* also: offsets that are only pending are waited for */
        kafka_set(conf, "enable.auto.commit", "false");
        kafka_set(conf, "enable.partition.eof", "true");
        kafka_set(conf, "auto.offset.reset", "earliest");
        adoption->consumer = kafka_new(RD_KAFKA_CONSUMER, conf, &error);
    }
    bool good = adoption->consumer != NULL;
    if (good) {
        rd_kafka_poll_set_consumer(adoption->consumer);
        /* First of all: an earlier adoption that is still at work is fenced before we look. */
        good = kafka_command_open(&adoption->command, adoption->config);
    }
    if (!good)
        refuse(adoption, error.size ? error.data : adoption->command.error.data);
    buffer_release(&error);
    return good;
}

/* ---- nobody may be at work ---- */

static bool describe_says_empty(const struct adoption *adoption, const rd_kafka_ConsumerGroupDescription_t *group)
{
    size_t count = rd_kafka_ConsumerGroupDescription_member_count(group);
    char why[256];
    if (rd_kafka_ConsumerGroupDescription_error(group)) {
        snprintf(why, sizeof(why), "group %s: %s", adoption->config->group_id,
                 rd_kafka_error_string(rd_kafka_ConsumerGroupDescription_error(group)));
        return refuse(adoption, why);
    }
    if (count == 0)
        return true;
    snprintf(why, sizeof(why),
             "group %s has %zu live members: stop all workers first (one that was killed counts until its session "
             "timeout is over)",
             adoption->config->group_id, count);
    return refuse(adoption, why);
}

static bool group_is_empty(struct adoption *adoption)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(adoption->admin);
    struct buffer error = {0};
    enum world world;
    bool good = false;
    rd_kafka_DescribeConsumerGroups(adoption->admin, &adoption->config->group_id, 1, NULL, queue);
    rd_kafka_event_t *event = kafka_admin_wait(queue, (int)adoption->config->timeout_request_ms * 3, &error, &world);
    if (event) {
        size_t count = 0;
        const rd_kafka_ConsumerGroupDescription_t **groups =
            rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(event), &count);
        good = count == 1 && describe_says_empty(adoption, groups[0]);
        rd_kafka_event_destroy(event);
    } else {
        refuse(adoption, error.data);
    }
    rd_kafka_queue_destroy(queue);
    buffer_release(&error);
    return good;
}

/* ---- the last `__meta` ---- */

/* Behind the last stable offset something is still open: its outcome may be a newer `__meta`. */
static bool is_the_end(struct adoption *adoption, const char *topic, int64_t offset)
{
    int64_t low, high = -1;
    return rd_kafka_query_watermark_offsets(adoption->admin, topic, adoption->shard, &low, &high,
                                            (int)adoption->config->timeout_request_ms) == RD_KAFKA_RESP_ERR_NO_ERROR &&
           offset >= high;
}

/* True when the end is reached. */
static bool take_message(struct adoption *adoption, const char *topic, const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return is_the_end(adoption, topic, message->offset);
    struct span key = {message->key, message->key_len};
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && span_equal(key, meta_key())) {
        buffer_reset(&adoption->value);
        buffer_add_span(&adoption->value, (struct span){message->payload, message->len});
    }
    return false;
}

static bool read_to_end(struct adoption *adoption, const char *topic)
{
    int64_t until = deadline(adoption);
    for (bool ended = false; !ended;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(adoption->consumer, POLL_MS);
        if (message) {
            if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
                until = deadline(adoption);
            ended = take_message(adoption, topic, message);
            rd_kafka_message_destroy(message);
        }
        if (!ended && now_ms() > until)
            return refuse(adoption, "its crm.state cannot be read to the end: a transaction on it stays open, or Kafka "
                                    "does not answer; try again");
    }
    return true;
}

static bool meta_fits(const struct adoption *adoption)
{
    const struct meta *meta = &adoption->meta;
    return meta->shard == adoption->shard && meta->shard_count == adoption->config->shards &&
           span_equal(meta->application_id, span_of(adoption->config->application_id));
}

static bool read_last_meta(struct adoption *adoption)
{
    const char *topic = config_topic(adoption->config, "state");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, adoption->shard)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(adoption->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    bool good = read_to_end(adoption, topic);
    rd_kafka_assign(adoption->consumer, NULL);
    if (!good)
        return false;
    if (adoption->value.size == 0)
        return refuse(adoption, "crm.state holds no `__meta` of it: it was never born, a worker does that by itself");
    if (!meta_decode(buffer_span(&adoption->value), &adoption->arena, &adoption->meta))
        return refuse(adoption, "its last `__meta` is not one that this program can read");
    return meta_fits(adoption) || refuse(adoption, "its last `__meta` is another application's, or of another S");
}

/* ---- what is committed, and what should be ---- */

static void name_partitions(struct adoption *adoption)
{
    const struct meta *meta = &adoption->meta;
    struct buffer topic = {0};
    adoption->found = rd_kafka_topic_partition_list_new((int)meta->input_count + 1);
    rd_kafka_topic_partition_list_add(adoption->found, config_topic(adoption->config, "forward"), adoption->shard);
    for (size_t i = 0; i < meta->input_count; i++) {
        buffer_reset(&topic);
        buffer_add_span(&topic, meta->inputs[i].topic);
        rd_kafka_topic_partition_list_add(adoption->found, topic.data, meta->inputs[i].partition);
    }
    buffer_release(&topic);
}

static bool read_committed(struct adoption *adoption)
{
    int64_t until = deadline(adoption);
    name_partitions(adoption);
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_committed(adoption->consumer, adoption->found, COMMITTED_MS);
        for (int i = 0; i < adoption->found->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
            code = adoption->found->elems[i].err;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            return true;
        if (kafka_world(code) != WORLD_AGAIN || now_ms() > until)
            return refuse(adoption, rd_kafka_err2str(code));
    }
}

static struct span metadata_of(const rd_kafka_topic_partition_t *element)
{
    return (struct span){element->metadata, element->metadata_size};
}

static int64_t wanted_offset(const struct adoption *adoption, int index)
{
    return index == 0 ? adoption->meta.forward_next : adoption->meta.inputs[index - 1].next;
}

/* With crm.forward's offset whole, only inputs without one are missing; without it nothing that is there counts: a tool
 * was at it, and `__meta` is the truth. */
static bool is_restored(const struct adoption *adoption, int index, bool whole)
{
    return whole ? adoption->found->elems[index].offset < 0 : true;
}

static rd_kafka_topic_partition_list_t *what_to_restore(struct adoption *adoption, bool whole)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(adoption->found->cnt);
    struct span seq = seq_text(&adoption->arena, adoption->meta.seq);
    for (int i = 0; i < adoption->found->cnt; i++) {
        const rd_kafka_topic_partition_t *found = &adoption->found->elems[i];
        if (!is_restored(adoption, i, whole))
            continue;
        rd_kafka_topic_partition_t *element = rd_kafka_topic_partition_list_add(list, found->topic, found->partition);
        element->offset = wanted_offset(adoption, i);
        if (i > 0)
            continue;
        element->metadata = malloc(seq.size); /* the list frees it */
        CHECK(element->metadata);
        memcpy(element->metadata, seq.data, seq.size);
        element->metadata_size = seq.size;
    }
    return list;
}

static void say_what(const struct adoption *adoption, bool whole)
{
    char before[32];
    for (int i = 0; i < adoption->found->cnt; i++) {
        const rd_kafka_topic_partition_t *found = &adoption->found->elems[i];
        snprintf(before, sizeof(before), "%lld", (long long)found->offset);
        if (is_restored(adoption, i, whole))
            printf("%s[%d]: %lld%s (was %s)\n", found->topic, (int)found->partition,
                   (long long)wanted_offset(adoption, i), i == 0 ? " with its seq" : "",
                   found->offset < 0 ? "gone" : before);
    }
    printf("shard %d goes on behind seq %lld when a worker starts\n", (int)adoption->shard,
           (long long)adoption->meta.seq);
}

static bool restore(struct adoption *adoption)
{
    const rd_kafka_topic_partition_t *forward = &adoption->found->elems[0];
    char why[256];
    int64_t seq = 0;
    bool whole = forward->offset >= 0 && seq_parse(metadata_of(forward), &seq);
    if (whole && seq != adoption->meta.seq) {
        snprintf(why, sizeof(why),
                 "its offsets say seq %lld, the last `__meta` of crm.state says %lld: the log lost records, which "
                 "offsets cannot heal",
                 (long long)seq, (long long)adoption->meta.seq);
        return refuse(adoption, why);
    }
    rd_kafka_topic_partition_list_t *list = what_to_restore(adoption, whole);
    struct kafka_command *command = &adoption->command;
    bool good = list->cnt > 0;
    if (!good) {
        snprintf(why, sizeof(why), "its offsets are there (seq %lld): nothing to adopt", (long long)seq);
        refuse(adoption, why);
    } else {
        good =
            kafka_command_begin(command) && kafka_command_send_offsets(command, list) && kafka_command_commit(command);
        if (!good)
            refuse(adoption, command->error.data);
    }
    if (good)
        say_what(adoption, whole);
    rd_kafka_topic_partition_list_destroy(list);
    return good;
}

bool shard_adopt(struct config *config, int32_t shard)
{
    struct adoption adoption = {.config = config, .shard = shard};
    arena_init(&adoption.arena, 0);
    bool good = open_clients(&adoption) && group_is_empty(&adoption) && read_last_meta(&adoption) &&
                read_committed(&adoption) && restore(&adoption);
    if (adoption.found)
        rd_kafka_topic_partition_list_destroy(adoption.found);
    kafka_command_close(&adoption.command);
    if (adoption.consumer) {
        rd_kafka_consumer_close(adoption.consumer);
        rd_kafka_destroy(adoption.consumer);
    }
    if (adoption.admin)
        rd_kafka_destroy(adoption.admin);
    buffer_release(&adoption.value);
    arena_release(&adoption.arena);
    return good;
}
