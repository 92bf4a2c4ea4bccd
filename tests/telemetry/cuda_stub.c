/* A libcuda.so.1 that shows the two GPUs of the NVML stub in the other order, as CUDA does when the second one is
   faster, and obeys CUDA_VISIBLE_DEVICES if it holds numbers. STUB_CUDA is the code of an error, or "hang". */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUCCESS 0
#define NO_DEVICE 100

static const unsigned char uuids[2][16] = {{0xbb, 0xbb, 0x22, 0x22}, {0xaa, 0xaa, 0x11, 0x11}};
static int visible[2], count = -1;

int cuInit(unsigned flags) {
    const char *mode = getenv("STUB_CUDA"), *numbers = getenv("CUDA_VISIBLE_DEVICES");
    (void)flags;
    if (mode && !strcmp(mode, "hang")) for (;;) pause();
    if (mode) return atoi(mode);
    count = 0;
    if (!numbers) { visible[count++] = 0; visible[count++] = 1; return SUCCESS; }
    char copy[64];
    strncpy(copy, numbers, sizeof copy - 1);
    copy[sizeof copy - 1] = 0;
    for (char *word = strtok(copy, ","); word && count < 2; word = strtok(NULL, ",")) {
        if (strcmp(word, "0") && strcmp(word, "1")) break; /* what follows an unknown device does not count */
        visible[count++] = atoi(word);
    }
    return count ? SUCCESS : NO_DEVICE;
}
int cuDeviceGetCount(int *out) { *out = count; return SUCCESS; }
int cuDeviceGet(int *out, int index) { *out = visible[index]; return SUCCESS; }
int cuDeviceGetUuid_v2(unsigned char *out, int device) { memcpy(out, uuids[device], 16); return SUCCESS; }
