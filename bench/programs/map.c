/* freestanding: what it costs to get memory by mmap, to touch each page of it, and to give it back, for 1, 10,
 * 100 pages and so on up to 10,000, or up to the argument. */
/* SPDX-License-Identifier: MIT */
#include <measure.h>

enum { PAGE = 4096, FEW = 5 };
enum { PROT_READ = 1, PROT_WRITE = 2, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20 };

struct ticks {
    uint64_t map[BATCHES], touch[BATCHES], unmap[BATCHES];
};

static void fail(const char *what) {
    print("map: ");
    print(what);
    print(" failed\n");
    system_call(SYS_exit_group, 1, 0, 0, 0, 0, 0);
}

static void measure_batch(struct ticks *ticks, unsigned batch, uint64_t pages) {
    uint64_t begin = now();
    long address =
        system_call(SYS_mmap, 0, (long)(pages * PAGE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t mapped = now();

    if (address < 0)
        fail("mmap");
    for (uint64_t page = 0; page < pages; page++)
        *(volatile char *)(address + (long)(page * PAGE)) = 1;

    uint64_t touched = now();

    if (system_call(SYS_munmap, address, (long)(pages * PAGE), 0, 0, 0, 0))
        fail("munmap");
    ticks->map[batch] = mapped - begin;
    ticks->touch[batch] = touched - mapped;
    ticks->unmap[batch] = now() - touched;
}

static int start(int argc, char **argv) {
    static struct ticks ticks;
    uint64_t most = argc > 1 ? parse(argv[1], 10) : 10000;

    for (uint64_t pages = 1; pages <= most; pages *= 10) {
        /* Of many pages there are fewer batches, each of them told several times: one is long, and like the next. */
        unsigned batches = pages < 1000 ? BATCHES : FEW;

        for (unsigned batch = 0; batch < batches; batch++)
            measure_batch(&ticks, batch, pages);
        for (unsigned batch = batches; batch < BATCHES; batch++) {
            ticks.map[batch] = ticks.map[batch % batches];
            ticks.touch[batch] = ticks.touch[batch % batches];
            ticks.unmap[batch] = ticks.unmap[batch % batches];
        }
        print_result("mmap", pages, ticks.map);
        print_result("touch", pages, ticks.touch);
        print_result("munmap", pages, ticks.unmap);
    }
    return 0;
}
