#include "common/io/kafka_command.h"

#include <stdio.h>

enum {
    TRIES_MAX = 5,        /* of a call that Kafka says may be made again */
    INTERNAL_ROOM = 65536 /* internal records carry an input record and its coordinates */
};

static int timeout_ms(const struct kafka_command *command)
{
    return (int)command->config->timeout_request_ms;
}

static bool judge(struct kafka_command *command, const char *what, rd_kafka_error_t *error)
{
    if (error == NULL)
        return true;
    buffer_reset(&command->error);
    buffer_format(&command->error, "Kafka: %s: %s", what, rd_kafka_error_string(error));
    if (command->trouble.text[0])
        buffer_format(&command->error, " (%s)", command->trouble.text);
    rd_kafka_error_destroy(error);
    return false;
}

static bool may_try_again(const struct kafka_command *command, const rd_kafka_error_t *error)
{
    return error && rd_kafka_error_is_retriable(error) && command->trouble.refused == RD_KAFKA_RESP_ERR_NO_ERROR;
}

bool kafka_command_open(struct kafka_command *command, const struct config *config)
{
    char id[256];
    *command = (struct kafka_command){.config = config};
    snprintf(id, sizeof(id), "%s-command", config->application_id);
    rd_kafka_conf_t *conf = kafka_conf(config, CONFIG_CLIENT_PRODUCER, &command->trouble);
    kafka_set(conf, "transactional.id", id);
    kafka_set_integer(conf, "transaction.timeout.ms", config->timeout_transaction_ms);
    kafka_set_integer(conf, "message.max.bytes", config->topic_message_bytes_max + INTERNAL_ROOM);
    command->producer = kafka_new(RD_KAFKA_PRODUCER, conf, &command->error);
    if (command->producer == NULL)
        return false;
    rd_kafka_error_t *error = rd_kafka_init_transactions(command->producer, timeout_ms(command));
    for (int i = 1; i < TRIES_MAX && may_try_again(command, error); i++) {
        rd_kafka_error_destroy(error);
        error = rd_kafka_init_transactions(command->producer, timeout_ms(command));
    }
    return judge(command, "init_transactions", error);
}

bool kafka_command_begin(struct kafka_command *command)
{
    return judge(command, "begin_transaction", rd_kafka_begin_transaction(command->producer));
}

bool kafka_command_produce(struct kafka_command *command, const char *topic, int32_t partition, struct span value)
{
    return kafka_command_produce_keyed(command, topic, partition, SPAN_NONE, value);
}

bool kafka_command_produce_keyed(struct kafka_command *command, const char *topic, int32_t partition, struct span key,
                                 struct span value)
{
    rd_kafka_resp_err_t code = rd_kafka_producev(
        command->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_KEY(key.data, key.size),
        RD_KAFKA_V_VALUE((void *)value.data, value.size), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    buffer_reset(&command->error);
    buffer_format(&command->error, "Kafka: %s[%d]: %s", topic, (int)partition, rd_kafka_err2str(code));
    return false;
}

bool kafka_command_send_offsets(struct kafka_command *command, const rd_kafka_topic_partition_list_t *offsets)
{
    rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new(command->config->group_id);
    rd_kafka_error_t *error =
        rd_kafka_send_offsets_to_transaction(command->producer, offsets, group, timeout_ms(command));
    for (int i = 1; i < TRIES_MAX && may_try_again(command, error); i++) {
        rd_kafka_error_destroy(error);
        error = rd_kafka_send_offsets_to_transaction(command->producer, offsets, group, timeout_ms(command));
    }
    rd_kafka_consumer_group_metadata_destroy(group);
    return judge(command, "the offsets", error);
}

bool kafka_command_commit(struct kafka_command *command)
{
    rd_kafka_error_t *error = rd_kafka_commit_transaction(command->producer, timeout_ms(command));
    for (int i = 1; i < TRIES_MAX && may_try_again(command, error); i++) {
        rd_kafka_error_destroy(error);
        error = rd_kafka_commit_transaction(command->producer, timeout_ms(command));
    }
    return judge(command, "commit_transaction (it may have been done: look before you try again)", error);
}

void kafka_command_close(struct kafka_command *command)
{
    if (command->producer) {
        rd_kafka_purge(command->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(command->producer);
    }
    command->producer = NULL;
    buffer_release(&command->error);
}
