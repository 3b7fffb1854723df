/*
 * Runs a fuzz target once for each given file: a main() for compilers without libFuzzer.
 *
 *     fuzz_replay FILE...       exit status 0; 1 for a file that cannot be read; a crash crashes
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Larger than any useful input. */
#define MAX_INPUT_BYTES (1024u * 1024u)

static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "fuzz_replay: cannot read %s\n", path);
        return EXIT_FAILURE;
    }
    uint8_t *data = malloc(MAX_INPUT_BYTES);
    size_t size = data == NULL ? 0 : fread(data, 1, MAX_INPUT_BYTES, file);
    int bad = data == NULL || ferror(file);
    fclose(file);
    if (bad) {
        fprintf(stderr, "fuzz_replay: cannot read %s\n", path);
    } else {
        printf("%s: %zu bytes\n", path, size);
        fflush(stdout); /* before the call, which may crash */
        LLVMFuzzerTestOneInput(data, size);
    }
    free(data);
    return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    int status = EXIT_SUCCESS;
    for (int at = 1; at < argc; at++)
        if (replay(argv[at]) != EXIT_SUCCESS)
            status = EXIT_FAILURE;
    return status;
}
