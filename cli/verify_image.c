#include "cli/verify_image.h"

#include <string.h>

static const char why[] = "measurements are worth as much as who published them";
static const char wanted[] = "image.json signed by the release key";

/* By hand, or by the policy: options and policy do not both say it (verify_reference.c). */
static struct verify_measurements given_measurements(const struct verify_reference *reference)
{
    const struct verify_policy *policy = &reference->policy;

    if (reference->n_measurements > 0)
        return (struct verify_measurements){reference->measurements, reference->n_measurements,
                                            false};
    return (struct verify_measurements){policy->measurements, policy->n_measurements,
                                        policy->any_measurement};
}

/* vCPUs and model are claims: a wrong one leads to a measurement that is not the report's. A bare
 * report claims nothing: each of the image's measurements will do. */
static struct verify_measurements published_measurements(const struct image *image,
                                                         const struct verify_answer *answer,
                                                         struct arena *arena)
{
    uint8_t(*digests)[LAUNCH_DIGEST_SIZE] =
        arena_alloc(arena, (image->n_measurements + 1) * LAUNCH_DIGEST_SIZE);
    struct verify_measurements found = {.digests = (const uint8_t(*)[LAUNCH_DIGEST_SIZE])digests};

    if (!answer->bare) {
        found.n =
            image_measurements_for(image, answer->vcpus, answer->cpu_model ? answer->cpu_model : "",
                                   digests, image->n_measurements);
        return found;
    }
    for (size_t i = 0; i < image->n_measurements; i++)
        memcpy(digests[found.n++], image->measurements[i].digest, LAUNCH_DIGEST_SIZE);
    return found;
}

static bool is_listed(const struct verify_measurements *list, const uint8_t *digest)
{
    for (size_t i = 0; i < list->n; i++)
        if (memcmp(list->digests[i], digest, LAUNCH_DIGEST_SIZE) == 0)
            return true;
    return false;
}

/* Neither the image nor the list of a policy may widen the other. */
static struct verify_measurements in_both(const struct verify_measurements *published,
                                          const struct verify_measurements *given,
                                          struct arena *arena)
{
    if (given->any || given->n == 0)
        return *published;
    uint8_t(*digests)[LAUNCH_DIGEST_SIZE] = arena_alloc(arena, published->n * LAUNCH_DIGEST_SIZE);
    struct verify_measurements both = {.digests = (const uint8_t(*)[LAUNCH_DIGEST_SIZE])digests};

    for (size_t i = 0; i < published->n; i++)
        if (is_listed(given, published->digests[i]))
            memcpy(digests[both.n++], published->digests[i], LAUNCH_DIGEST_SIZE);
    return both;
}

static void add_unnamed(const struct verify_measurements *given, struct verify_result *result)
{
    static const char any[] = "any, as measurements are given";

    if (given->any)
        verify_step_add(result, "image", VERDICT_PASS, "any, as asked for", "none is named", why);
    else if (given->n > 0)
        verify_step_add(result, "image", VERDICT_PASS, any,
                        arena_printf(result->arena, "none is named, but %zu measurement%s",
                                     given->n, given->n == 1 ? "" : "s"),
                        why);
    else
        verify_step_add(result, "image", VERDICT_UNKNOWN, "not given (--image or --measurement)",
                        "", why);
}

static struct verify_measurements judge(const struct image *image,
                                        const struct verify_answer *answer,
                                        const struct verify_measurements *given,
                                        struct verify_result *result)
{
    struct arena *arena = result->arena;
    struct verify_measurements published = published_measurements(image, answer, arena);

    if (published.n == 0) {
        verify_step_add(result, "image", VERDICT_FAIL,
                        "a measurement for this guest's vCPUs and CPU model",
                        arena_printf(arena, "version %s has none for %u of '%s'", image->version,
                                     answer->vcpus, answer->cpu_model ? answer->cpu_model : ""),
                        why);
        return *given;
    }
    struct verify_measurements both = in_both(&published, given, arena);
    if (both.n == 0) {
        verify_problem_add(
            result, "image_not_listed", "a measurement that the policy lists too",
            arena_printf(arena, "version %s has none for this guest", image->version), why);
        return *given;
    }
    verify_step_add(result, "image", VERDICT_PASS, wanted,
                    arena_printf(arena, "version %s", image->version), why);
    return both;
}

struct verify_measurements verify_image(const struct verify_reference *reference,
                                        const struct verify_answer *answer,
                                        struct verify_result *result)
{
    struct verify_measurements given = given_measurements(reference);

    if (!reference->image && !reference->image_problem) {
        add_unnamed(&given, result);
        return given;
    }
    given.any = false; /* an image that is named says it */
    if (reference->image_problem)
        verify_step_add(result, "image", reference->image_verdict, wanted, reference->image_problem,
                        why);
    else if (answer)
        return judge(reference->image, answer, &given, result);
    else
        verify_problem_add(result, "image_no_evidence", wanted,
                           arena_printf(result->arena, "version %s, and nothing to judge by it",
                                        reference->image->version),
                           why);
    return given;
}
