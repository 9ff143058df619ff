#include "workers/playbook/in_force.h"

#include "common/flow/playbooks.h"
#include "workers/playbook/published.h"

#include <stdio.h>
#include <string.h>

static void text_of_config(const struct setup *setup, const char *why, char ret_text[IN_FORCE_TEXT_SIZE])
{
    char name[PLAYBOOK_SHORT_SIZE];
    snprintf(ret_text, IN_FORCE_TEXT_SIZE, "%s (version %.*s), the config's: %s",
             playbook_short(setup->playbook->hash, name), (int)setup->playbook->version.size,
             setup->playbook->version.data, why);
}

static void world_exchange(struct setup *setup, struct playbook *playbook, struct span yaml)
{
    playbook_free(setup->playbook);
    setup->playbook = playbook;
    setup->world.playbook = playbook;
    buffer_reset(&setup->playbook_text);
    buffer_add_span(&setup->playbook_text, yaml);
}

static void take(struct setup *setup, const struct published *published, const unsigned char hash[32],
                 char ret_text[IN_FORCE_TEXT_SIZE])
{
    const struct playbook_entry *entry = published_text(published, hash);
    struct playbook_errors errors = {0};
    char name[PLAYBOOK_SHORT_SIZE];
    playbook_short(hash, name);
    struct playbook *playbook = entry ? playbook_compile(entry->yaml, name, &errors) : NULL;
    if (playbook) {
        world_exchange(setup, playbook, entry->yaml);
        snprintf(ret_text, IN_FORCE_TEXT_SIZE, "%s (version %.*s)", name, (int)playbook->version.size,
                 playbook->version.data);
    } else {
        char why[128];
        snprintf(why, sizeof(why), "%s is in force, and %s", name,
                 entry ? "this version cannot run it" : "crm.playbook has not got its text");
        text_of_config(setup, why, ret_text);
    }
    buffer_release(&errors.text);
}

static bool is_config(const struct setup *setup, const unsigned char hash[32])
{
    return memcmp(setup->playbook->hash, hash, sizeof(setup->playbook->hash)) == 0;
}

void in_force_of(struct setup *setup, const unsigned char hash[32], char ret_text[IN_FORCE_TEXT_SIZE])
{
    struct published published = {0};
    if (is_config(setup, hash)) {
        text_of_config(setup, "in force", ret_text);
        return;
    }
    if (published_read(&setup->config, &published))
        take(setup, &published, hash, ret_text);
    else
        text_of_config(setup, "crm.playbook cannot be read", ret_text);
    published_release(&published);
}

void in_force_last(struct setup *setup, char ret_text[IN_FORCE_TEXT_SIZE])
{
    struct published published = {0};
    bool good = published_read(&setup->config, &published);
    const struct playbook_entry *last = good ? published_last(&published) : NULL;
    if (!last)
        text_of_config(setup, good ? "none was activated yet" : "crm.playbook cannot be read", ret_text);
    else if (is_config(setup, last->hash))
        text_of_config(setup, "in force", ret_text);
    else
        take(setup, &published, last->hash, ret_text);
    published_release(&published);
}
