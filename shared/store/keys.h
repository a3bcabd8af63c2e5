/*
 * The key schema of Redis: every family, its type, its one writer (DESIGN section 8).
 * Records are hashes {v: version, d: protobuf}; names in <> are ids.
 */
#pragma once

#define KEY_WORKLOAD       "coffer:workload:"       /* <w> Workload record; scheduler */
#define KEY_WORKLOAD_INPUT "coffer:workload-input:" /* <w> WorkloadInput record; scheduler */
#define KEY_WORKLOADS      "coffer:workloads"       /* set of <w>; scheduler */
#define KEY_WORKLOADS_OF   "coffer:workloads-of:"   /* <account> set of <w>; scheduler */
#define KEY_WORKLOADS_ON   "coffer:workloads-on:"   /* <h> set of <w>: reservations; scheduler */
#define KEY_DOMAIN         "coffer:domain:"         /* <name> record: <w> or "-"; scheduler */
#define KEY_LEAVING_NAME   "coffer:leaving-name:"   /* <name> LeavingName record; scheduler */
#define KEY_LEAVING_NAMES  "coffer:leaving-names"   /* set of <name>; scheduler */
#define KEY_BOOT           "coffer:boot:"           /* <w> record: pending challenge; scheduler */
#define KEY_HOST           "coffer:host:"           /* <h> Host record; scheduler */
#define KEY_HOSTS          "coffer:hosts"           /* set of <h>; scheduler */
#define KEY_IMAGE          "coffer:image:"          /* <version> signed image.json; scheduler */
#define KEY_ARTIFACT       "coffer:artifact:"       /* <version> Artifact record; scheduler */
#define KEY_ARTIFACTS      "coffer:artifacts"       /* set of <version>; scheduler */
#define KEY_TIERS          "coffer:tiers"           /* WorkloadTiers record; scheduler */
#define KEY_DONE_REQUEST   "coffer:done-request:"   /* <id> record: audit_trail.h; scheduler */
#define KEY_CRL            "coffer:crl:"            /* <SHA-256 hex> record: CRLs; scheduler */
#define KEY_EVENTS_OF      "coffer:events-of:"      /* <w> list of WorkloadEvent; scheduler */
#define KEY_OUTBOX         "coffer:outbox"          /* list of ids, oldest first */
#define KEY_OUTBOX_DATA    "coffer:outbox-data" /* hash id -> lp(subject) lp(type) lp(payload) */
#define KEY_VERSION        "coffer:version"     /* counter of record versions; the store */
#define KEY_TERM           "coffer:term"        /* highest leader term; scheduler */
#define KEY_ACCOUNT        "coffer:account:"    /* <a> record, JSON; gateway */
#define KEY_API_KEY        "coffer:api-key:"    /* <SHA-256 hex> record, JSON; gateway */

/* Accounts and keys; all the gateway's, the records are JSON. The audit trail is also written by
 * the scheduler, in the commits of what the gateway asks it for. */
#define KEY_ACCOUNTS       "coffer:accounts"        /* set of <a> */
#define KEY_ACCOUNT_WALLET "coffer:account-wallet:" /* <0x...> record: its account */
#define KEY_API_KEY_ID     "coffer:api-key-id:"     /* <SHA-256 hex of its id> record */
#define KEY_API_KEY_USED   "coffer:api-key-used:"   /* <SHA-256 hex> record: when last used */
#define KEY_API_KEYS_OF    "coffer:api-keys-of:"    /* <a> set of SHA-256 hex */
#define KEY_MEMBER         "coffer:member:"         /* <m> record */
#define KEY_MEMBERS_OF     "coffer:members-of:"     /* <a> record: its members and its owners */
#define KEY_IDEMPOTENCY    "coffer:idempotency:"    /* <SHA-256 hex> record, expires */
#define KEY_AUDIT          "coffer:audit"           /* list of entries of the fleet */
#define KEY_AUDIT_OF       "coffer:audit-of:"       /* <a> list of entries of the account */

/* Webhooks; all the gateway's, the records are JSON. */
#define KEY_WEBHOOK          "coffer:webhook:"          /* <id> record */
#define KEY_WEBHOOKS_OF      "coffer:webhooks-of:"      /* <a> record: its <id>s */
#define KEY_WEBHOOK_STATE    "coffer:webhook-state:"    /* <id> record: its queue, in numbers */
#define KEY_WEBHOOK_QUEUE    "coffer:webhook-queue:"    /* <id> set of pending deliveries */
#define KEY_WEBHOOK_QUEUES   "coffer:webhook-queues"    /* set of <id> with pending deliveries */
#define KEY_WEBHOOK_DELIVERY "coffer:webhook-delivery:" /* <id>.<delivery> record */
#define KEY_WEBHOOK_HISTORY  "coffer:webhook-history:"  /* <id> list of ended deliveries */
