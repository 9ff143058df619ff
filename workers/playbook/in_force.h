/* The playbook in force, for commands that show or check by it: the config's file is only what a new cluster begins
 * with. */
#ifndef ORIORI_WORKERS_PLAYBOOK_IN_FORCE_H
#define ORIORI_WORKERS_PLAYBOOK_IN_FORCE_H

#include "workers/lifecycle/setup.h"

enum { IN_FORCE_TEXT_SIZE = 256 };

/* Makes setup->world (setup_world first) that of the playbook of that hash, out of crm.playbook when the config's file
 * is another one. ret_text: which one, for people. Where crm.playbook cannot be read, or has not got it, the config's
 * stays, and ret_text says so. */
void in_force_of(struct setup *setup, const unsigned char hash[32], char ret_text[IN_FORCE_TEXT_SIZE]);
/* The same by the last activation; before the first one the config's. */
void in_force_last(struct setup *setup, char ret_text[IN_FORCE_TEXT_SIZE]);

#endif
