#include "common/codec/registry_reply.h"

#include "common/base/buffer.h"
#include "common/codec/json.h"

enum {
    HTTP_OK = 200,
    HTTP_NOT_FOUND = 404,
    HTTP_CONFLICT = 409,
    HTTP_UNPROCESSABLE = 422,
    CODE_SUBJECT_UNKNOWN = 40401, /* Confluent's error_code */
    CODE_SCHEMA_UNKNOWN = 40403,
    MESSAGE_SIZE_MAX = 300 /* of a foreign text in one of ours */
};

static struct span message_of(struct arena *arena, const char *before, struct span text)
{
    struct buffer message = {0};
    buffer_add_text(&message, before);
    if (text.size > MESSAGE_SIZE_MAX)
        text.size = MESSAGE_SIZE_MAX;
    while (!utf8_valid(text))
        text.size--; /* what came from JSON is valid; the cut may be within a character */
    buffer_add_span(&message, text);
    struct span kept = arena_copy(arena, buffer_span(&message));
    buffer_release(&message);
    return kept;
}

static void no_answer(struct registry_reply *reply, long status, const struct json *root, struct arena *arena)
{
    const struct json *said = json_part_of(root, SPAN("message"), JSON_KIND_TEXT);
    struct buffer before = {0};
    buffer_format(&before, status == HTTP_OK ? "answers as no schema registry does" : "answers with HTTP status %ld",
                  status);
    buffer_add_text(&before, said ? ": " : "");
    reply->answer = REGISTRY_AWAY;
    reply->message = message_of(arena, before.data, said ? said->text : SPAN(""));
    buffer_release(&before);
}

/* Anything but 200. */
static void read_error(struct registry_reply *reply, long status, const struct json *root, struct arena *arena)
{
    const struct json *code = json_part_of(root, SPAN("error_code"), JSON_KIND_INTEGER);
    const struct json *said = json_part_of(root, SPAN("message"), JSON_KIND_TEXT);
    bool unknown = status == HTTP_NOT_FOUND && code != NULL && code->integer >= CODE_SUBJECT_UNKNOWN &&
                   code->integer <= CODE_SCHEMA_UNKNOWN;
    bool refused = (status == HTTP_CONFLICT || status == HTTP_UNPROCESSABLE) && code != NULL;
    if (!unknown && !refused) {
        no_answer(reply, status, root, arena);
        return;
    }
    reply->answer = unknown ? REGISTRY_UNKNOWN : REGISTRY_REFUSED;
    reply->message = message_of(arena, "", said ? said->text : unknown ? SPAN("unknown") : SPAN("refused"));
}

static bool read_id(const struct json *root, uint32_t *ret_id)
{
    const struct json *id = json_part_of(root, SPAN("id"), JSON_KIND_INTEGER);
    if (id == NULL || id->integer < 0 || id->integer > INT32_MAX)
        return false;
    *ret_id = (uint32_t)id->integer;
    return true;
}

/* A schema of another kind than Avro is there, but not for us. */
static void read_kind(struct registry_reply *reply, const struct json *root, struct arena *arena)
{
    const struct json *type = json_part_of(root, SPAN("schemaType"), JSON_KIND_TEXT);
    if (type != NULL && !span_equal(type->text, SPAN("AVRO"))) {
        reply->answer = REGISTRY_REFUSED;
        reply->message = message_of(arena, "the schema is not Avro but ", type->text);
    }
}

static bool read_reference(const struct json *reference, struct registry_reference *ret_reference)
{
    const struct json *subject = json_part_of(reference, SPAN("subject"), JSON_KIND_TEXT);
    const struct json *version = json_part_of(reference, SPAN("version"), JSON_KIND_INTEGER);
    if (subject == NULL || version == NULL || version->integer < -1 || version->integer > INT32_MAX)
        return false;
    *ret_reference = (struct registry_reference){subject->text, (int32_t)version->integer};
    if (version->integer == -1)
        ret_reference->version = REGISTRY_NEWEST;
    return true;
}

static bool read_references(struct registry_reply *reply, const struct json *root, struct arena *arena)
{
    const struct json *list = json_part_of(root, SPAN("references"), JSON_KIND_ARRAY);
    if (list == NULL || list->count == 0)
        return true;
    struct registry_reference *references = ARENA_ARRAY(arena, struct registry_reference, list->count);
    for (const struct json *item = list->first; item != NULL; item = item->next)
        if (!read_reference(item, &references[reply->reference_count++]))
            return false;
    reply->references = references;
    return true;
}

static bool read_schema(struct registry_reply *reply, const struct json *root, struct arena *arena)
{
    const struct json *schema = json_part_of(root, SPAN("schema"), JSON_KIND_TEXT);
    if (schema == NULL)
        return false;
    reply->schema = schema->text;
    read_kind(reply, root, arena);
    return read_references(reply, root, arena);
}

static bool read_version(struct registry_reply *reply, const struct json *root, struct arena *arena)
{
    const struct json *version = json_part_of(root, SPAN("version"), JSON_KIND_INTEGER);
    if (version == NULL || version->integer < 0 || version->integer > INT32_MAX || !read_id(root, &reply->id))
        return false;
    reply->version = (int32_t)version->integer;
    return read_schema(reply, root, arena);
}

static bool read_compatibility(struct registry_reply *reply, const struct json *root, struct arena *arena)
{
    const struct json *verdict =
        root && root->type == JSON_KIND_OBJECT ? json_member(root, SPAN("is_compatible")) : NULL;
    if (verdict == NULL || (verdict->type != JSON_KIND_TRUE && verdict->type != JSON_KIND_FALSE))
        return false;
    reply->compatible = verdict->type == JSON_KIND_TRUE;
    const struct json *messages = json_part_of(root, SPAN("messages"), JSON_KIND_ARRAY);
    if (messages != NULL && messages->first != NULL && messages->first->type == JSON_KIND_TEXT)
        reply->message = message_of(arena, "", messages->first->text);
    return true;
}

void registry_reply_read(enum registry_request request, long status, struct span body, struct arena *arena,
                         struct registry_reply *ret_reply)
{
    const struct json *root = json_read(body, arena);
    bool whole = false;
    *ret_reply = (struct registry_reply){.answer = REGISTRY_FOUND, .message = SPAN("")};
    if (status != HTTP_OK) {
        read_error(ret_reply, status, root, arena);
        return;
    }
    switch (request) {
    case REGISTRY_SCHEMA:
        whole = read_schema(ret_reply, root, arena);
        break;
    case REGISTRY_VERSION:
        whole = read_version(ret_reply, root, arena);
        break;
    case REGISTRY_REGISTER:
        whole = read_id(root, &ret_reply->id);
        break;
    case REGISTRY_COMPATIBILITY:
        whole = read_compatibility(ret_reply, root, arena);
        break;
    }
    if (!whole)
        no_answer(ret_reply, status, root, arena);
}
