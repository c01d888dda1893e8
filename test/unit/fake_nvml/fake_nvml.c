/* A libnvidia-ml.so.1 whose cards exist in a text file only.
 *
 * Signatures and return codes are those of NVIDIA's nvml.h (docs.nvidia.com/deploy/nvml-api). The
 * file is named by FAKE_NVML_STATE and read at each call, so that several processes and a test see
 * the same cards. It has lines "key=value"; keys of card N start with "N.":
 *
 *   count                 number of cards
 *   error.FUNCTION        return code of that function, for all cards ("N.error.FUNCTION": of one)
 *   N.name, N.uuid        texts
 *   N.memory_clocks_mhz   supported memory clocks, comma-separated
 *   N.graphics_clocks_mhz supported graphics clocks at the highest of them
 *   N.clock_mhz           what it runs at while it is not locked
 *   N.locked_mhz          what it is locked to, written by the library; 0: not locked
 *   N.stuck               1: it runs at clock_mhz whatever it is locked to
 *   N.power_mw, N.energy_mj, N.temperature_c, N.reasons, N.gpu_percent
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum {
  SUCCESS = 0,
  UNINITIALIZED = 1,
  INVALID_ARGUMENT = 2,
  NOT_SUPPORTED = 3,
  NOT_FOUND = 6,
  INSUFFICIENT_SIZE = 7,
  UNKNOWN = 999
};
enum { MOST_BYTES = 65536, MOST_CARDS = 8 };

struct card {
  int index;
};
typedef struct card *nvmlDevice_t;
typedef struct {
  unsigned int gpu, memory;
} nvmlUtilization_t;
typedef struct {
  unsigned int version;
  unsigned int sensorType;
  int temperature;
} nvmlTemperature_t;

static struct card cards[MOST_CARDS] = {{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}};
static int users = 0;

static int load(char *text) {
  const char *path = getenv("FAKE_NVML_STATE");
  int file = path ? open(path, O_RDONLY) : -1;
  if (file < 0) return -1;
  flock(file, LOCK_SH);
  ssize_t size = read(file, text, MOST_BYTES - 1);
  close(file);
  if (size < 0) return -1;
  text[size] = 0;
  return 0;
}

static int text_of(const char *key, char *value, size_t most) {
  char text[MOST_BYTES], *place = NULL;
  size_t length = strlen(key);
  if (load(text)) return -1;
  for (char *line = strtok_r(text, "\n", &place); line; line = strtok_r(NULL, "\n", &place))
    if (!strncmp(line, key, length) && line[length] == '=') {
      snprintf(value, most, "%s", line + length + 1);
      return 0;
    }
  return -1;
}

static int card_text(nvmlDevice_t device, const char *key, char *value, size_t most) {
  char full[128];
  snprintf(full, sizeof full, "%d.%s", device->index, key);
  return text_of(full, value, most);
}

static int number(nvmlDevice_t device, const char *key, unsigned long long *value) {
  char text[64];
  if (card_text(device, key, text, sizeof text)) return NOT_SUPPORTED;
  *value = strtoull(text, NULL, 10);
  return SUCCESS;
}

static int set_number(nvmlDevice_t device, const char *key, unsigned int value) {
  char text[MOST_BYTES], changed[MOST_BYTES], full[128], *place = NULL;
  size_t used = 0;
  int file = open(getenv("FAKE_NVML_STATE"), O_RDWR);
  if (file < 0) return UNKNOWN;
  flock(file, LOCK_EX);
  ssize_t size = read(file, text, sizeof text - 1);
  text[size < 0 ? 0 : size] = 0;
  int length = snprintf(full, sizeof full, "%d.%s=", device->index, key);
  for (char *line = strtok_r(text, "\n", &place); line; line = strtok_r(NULL, "\n", &place))
    if (strncmp(line, full, length))
      used += snprintf(changed + used, sizeof changed - used, "%s\n", line);
  used += snprintf(changed + used, sizeof changed - used, "%s%u\n", full, value);
  if (ftruncate(file, 0) || pwrite(file, changed, used, 0) != (ssize_t)used) used = 0;
  close(file);
  return used ? SUCCESS : UNKNOWN;
}

/* The return code a test asked for, else whether NVML was initialised. */
static int trouble(nvmlDevice_t device, const char *function) {
  char key[128], text[32];
  snprintf(key, sizeof key, "error.%s", function);
  if (!text_of(key, text, sizeof text)) return atoi(text);
  if (device && !card_text(device, key, text, sizeof text)) return atoi(text);
  return users ? SUCCESS : UNINITIALIZED;
}

#define CHECK(device)                         \
  do {                                        \
    int code = trouble(device, __func__);     \
    if (code) return code;                    \
  } while (0)

int nvmlInitWithFlags(unsigned int flags) {
  (void)flags;
  users++;
  int code = trouble(NULL, "nvmlInit");
  if (code) users--;
  return code;
}

int nvmlShutdown(void) {
  if (!users) return UNINITIALIZED;
  users--;
  return SUCCESS;
}

const char *nvmlErrorString(int code) {
  return code ? "an error of the fake NVML" : "Success";
}

int nvmlDeviceGetCount_v2(unsigned int *count) {
  char text[32];
  CHECK(NULL);
  if (text_of("count", text, sizeof text)) return UNKNOWN;
  *count = atoi(text);
  return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
  unsigned int count;
  CHECK(NULL);
  int code = nvmlDeviceGetCount_v2(&count);
  if (code) return code;
  if (index >= count || index >= MOST_CARDS) return INVALID_ARGUMENT;
  *device = &cards[index];
  return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
  unsigned int count;
  char text[96];
  CHECK(NULL);
  int code = nvmlDeviceGetCount_v2(&count);
  for (unsigned int index = 0; !code && index < count && index < MOST_CARDS; index++)
    if (!card_text(&cards[index], "uuid", text, sizeof text) && !strcmp(text, uuid)) {
      *device = &cards[index];
      return SUCCESS;
    }
  return code ? code : NOT_FOUND;
}

int nvmlDeviceGetIndex(nvmlDevice_t device, unsigned int *index) {
  CHECK(device);
  *index = device->index;
  return SUCCESS;
}

int nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length) {
  CHECK(device);
  return card_text(device, "name", name, length) ? UNKNOWN : SUCCESS;
}

int nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length) {
  CHECK(device);
  return card_text(device, "uuid", uuid, length) ? UNKNOWN : SUCCESS;
}

static int clocks(nvmlDevice_t device, const char *key, unsigned int *count, unsigned int *mhz) {
  char text[4096], *place = NULL;
  unsigned int found = 0, room = *count;
  if (card_text(device, key, text, sizeof text)) return NOT_SUPPORTED;
  for (char *word = strtok_r(text, ",", &place); word; word = strtok_r(NULL, ",", &place), found++)
    if (mhz && found < room) mhz[found] = atoi(word);
  *count = found;
  return found > room || (!mhz && found) ? INSUFFICIENT_SIZE : SUCCESS;
}

int nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned int *count,
                                       unsigned int *mhz) {
  CHECK(device);
  return clocks(device, "memory_clocks_mhz", count, mhz);
}

int nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device, unsigned int memory_mhz,
                                         unsigned int *count, unsigned int *mhz) {
  unsigned int memory[64], most = 64, highest = 0;
  CHECK(device);
  int code = clocks(device, "memory_clocks_mhz", &most, memory);
  if (code) return code;
  for (unsigned int at = 0; at < most; at++)
    if (memory[at] > highest) highest = memory[at];
  if (memory_mhz != highest) return NOT_FOUND;
  return clocks(device, "graphics_clocks_mhz", count, mhz);
}

int nvmlDeviceGetClockInfo(nvmlDevice_t device, unsigned int type, unsigned int *mhz) {
  unsigned long long running = 0, locked = 0, stuck = 0;
  CHECK(device);
  if (type > 3) return INVALID_ARGUMENT;
  int code = number(device, "clock_mhz", &running);
  if (code) return code;
  number(device, "locked_mhz", &locked);
  number(device, "stuck", &stuck);
  *mhz = (unsigned int)(locked && !stuck ? locked : running);
  return SUCCESS;
}

int nvmlDeviceSetGpuLockedClocks(nvmlDevice_t device, unsigned int low, unsigned int high) {
  CHECK(device);
  if (!low || low > high) return INVALID_ARGUMENT;
  return set_number(device, "locked_mhz", high);
}

int nvmlDeviceResetGpuLockedClocks(nvmlDevice_t device) {
  CHECK(device);
  return set_number(device, "locked_mhz", 0);
}

#define READS(name, key, type)                       \
  int name(nvmlDevice_t device, type *value) {       \
    unsigned long long read = 0;                     \
    CHECK(device);                                   \
    int code = number(device, key, &read);           \
    *value = (type)read;                             \
    return code;                                     \
  }

READS(nvmlDeviceGetPowerUsage, "power_mw", unsigned int)
READS(nvmlDeviceGetTotalEnergyConsumption, "energy_mj", unsigned long long)
READS(nvmlDeviceGetCurrentClocksEventReasons, "reasons", unsigned long long)
READS(nvmlDeviceGetCurrentClocksThrottleReasons, "reasons", unsigned long long)

int nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned int sensor, unsigned int *celsius) {
  unsigned long long read = 0;
  CHECK(device);
  if (sensor) return INVALID_ARGUMENT;
  int code = number(device, "temperature_c", &read);
  *celsius = (unsigned int)read;
  return code;
}

int nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *temperature) {
  unsigned long long read = 0;
  CHECK(device);
  int code = number(device, "temperature_c", &read);
  temperature->temperature = (int)read;
  return code;
}

int nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization) {
  unsigned long long read = 0;
  CHECK(device);
  int code = number(device, "gpu_percent", &read);
  utilization->gpu = (unsigned int)read;
  utilization->memory = 0;
  return code;
}
