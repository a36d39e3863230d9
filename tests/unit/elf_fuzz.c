// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns the walk over broken ELF images for test_elf.py: reads a file, breaks a copy in a new way
 * ROUNDS times, and reads all that csrc/loader/elf offers from each. Sanitizers are the judge.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gelf.h"

static unsigned long sum; /* of all bytes that the interface gave out, so that they are read */

static void walk(char *image, size_t size)
{
	Elf *elf = elf_memory(image, size);
	Elf_Scn *section = NULL;
	size_t names = 0;

	if (!elf)
		return;
	elf_getshdrstrndx(elf, &names);
	while ((section = elf_nextscn(elf, section))) {
		Elf64_Shdr *header = elf64_getshdr(section);
		Elf_Data *data = elf_getdata(section, NULL);
		char *name = elf_strptr(elf, names, header->sh_name);

		sum += name ? strlen(name) : 0;
		for (size_t i = 0; data && data->d_buf && i < data->d_size; i++)
			sum += ((unsigned char *)data->d_buf)[i];
	}
	elf_end(elf);
}

int main(int argc, char **argv)
{
	long rounds = argc > 2 ? atol(argv[2]) : 0;
	static char whole[1 << 16];
	FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
	size_t size = file ? fread(whole, 1, sizeof(whole), file) : 0;

	srandom(20250607);
	if (size < 64)
		return 2;
	walk(whole, size);
	if (!sum)
		return 3;
	for (long round = 0; round < rounds; round++) {
		size_t cut = round % 3 ? size : (size_t)random() % size;
		char *copy = malloc(cut ? cut : 1);

		memcpy(copy, whole, cut);
		for (int i = random() % 8; cut && i >= 0; i--) {
			/* headers are where it hurts: the first 64 bytes and the section headers */
			size_t at = random() % 2 ? (size_t)random() % cut :
						   (size_t)random() % (cut < 64 ? cut : 64);
			copy[at] = random() % 4 ? (char)random() : (char)0xff;
		}
		walk(copy, cut);
		free(copy);
	}
	printf("%lu\n", sum);
	return 0;
}
