/* What the facts' writer (state_encode.c) and reader (state_decode.c) share: the numbers that stand for sets of marks
 * in schemas/customer_state.avsc, and in its version 1. */
#ifndef ORIORI_ENGINE_STATE_PARTS_H
#define ORIORI_ENGINE_STATE_PARTS_H

#include "common/engine/state_codec.h"

enum mark { MARK_BACKFILL = 1, MARK_FOLDED = 2, MARK_EDITED = 4, MARK_SOURCE = 8 /* times the source's index */ };
enum state_branch { BRANCH_ERASED, BRANCH_CUSTOMER };

enum order_flag {                  /* the usual ones first: a number below 64 takes one byte */
                  ORDER_EMAIL = 1, /* enum answer, two bits each */
                  ORDER_CONSENT = 4,
                  ORDER_RENEWAL = 16,
                  ORDER_ALL_TRIAL = 32,
                  ORDER_PREMIUM = 64,
                  ORDER_RELATED = 128,
                  ORDER_SUBSCRIPTION = 256,
                  ORDER_SUBSCRIPTION_TOLD = 512,
                  ORDER_LINE = 1024,
                  ORDER_UNPLACED = 4096, /* the stamp of its placement means nothing */
                  ORDER_FLAGS = 8191
};

/* Most parcels have no id of their own. */
#define HASH_OF_NOTHING UINT64_C(0xef46db3751d8e999) /* XXH64 of "" */

enum response_flag { RESPONSE_EFFECT = 1, RESPONSE_SHARE = 4, RESPONSE_CONCERNS = 16 }; /* answers: two bits each */
enum note_flag { NOTE_LINE = 1, NOTE_AGENT = 2, NOTE_CONSENT = 8, NOTE_FLAGS = 31 };

#endif
