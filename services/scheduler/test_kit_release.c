#include "services/scheduler/test_kit_release.h"
#include "shared/attestation/certificates.h"

void kit_begin_boot(struct kit *kit, struct kit_guest *ret_guest)
{
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_guest_init(kit, ret_guest, "w1");
    kit_ok(kit_challenge(kit, ret_guest));
}

void kit_flip_signature(_unused_ struct kit *kit, _unused_ struct kit_guest *guest,
                        Coffer__V1__AttestRequest **request)
{
    (*request)->evidence->report.data[0x2a0] ^= 1;
}

void kit_take_other_chip(struct kit *kit, struct kit_guest *guest,
                         Coffer__V1__AttestRequest **request)
{
    struct processor *own = kit->processors[0];

    kit->processors[0] = kit->processors[1];
    *request = kit_attest_request(kit, guest);
    kit->processors[0] = own;
}

void kit_drop_crl(struct kit *kit, _unused_ struct kit_guest *guest,
                  Coffer__V1__AttestRequest **request)
{
    ProtobufCBinaryData *certificates = &(*request)->evidence->certificates;
    _cleanup_buffer_ struct buffer bytes = {0};
    struct certificate_table table;

    kit_ok(certificate_table_parse(certificates->data, certificates->len, &table));
    assert_non_null(table.crl.data);
    table.crl = (struct certificate_view){0};
    certificate_table_write(&table, &bytes);
    *certificates = arena_bytes(kit->arena, bytes.data, bytes.size);
}
