/* quick_start.cpp: build an index, ask it, save it, open it again, and search among some rows only.
 *
 * Usage: quick_start [DIRECTORY], where DIRECTORY (examples/data unless given) holds glosses.npy, glosses.tsv and
 * questions.npy: dictionary glosses, and sentences that ask for one of them, each with a vector of 384 half-floats.
 *
 * SPDX-License-Identifier: MIT
 */
#include <sonde.hpp>

#include <cstdio>
#include <fstream>
#include <iostream>

constexpr std::int64_t DIM = 384;

/* An .npy file is a header, whose last two of ten bytes are the length of the rest of it, and then the numbers. */
static std::vector<std::uint16_t> read_vectors(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    file.exceptions(std::ios::failbit | std::ios::badbit);
    unsigned char head[10];
    file.read(reinterpret_cast<char *>(head), sizeof head);
    const std::streamoff start = 10 + head[8] + 256 * head[9];
    file.seekg(0, std::ios::end);
    std::vector<std::uint16_t> values(static_cast<std::size_t>(file.tellg() - start) / 2);
    file.seekg(start);
    file.read(reinterpret_cast<char *>(values.data()), static_cast<std::streamsize>(values.size() * 2));
    return values;
}

static std::vector<std::string> read_lines(const std::string &path)
{
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

static sonde::view half_rows(const std::vector<std::uint16_t> &values)
{
    return sonde::view::f16(values.data(), static_cast<std::int64_t>(values.size()) / DIM, DIM);
}

static void print(const sonde::hits &found, const std::vector<std::string> &texts)
{
    for (auto row : found) {
        std::cout << '\n';
        for (auto [id, score] : row)
            std::cout << "   " << score << "  " << texts.at(static_cast<std::size_t>(id)) << '\n';
    }
}

static void find_and_print(const std::string &directory)
{
    const auto vectors = read_vectors(directory + "/glosses.npy"), asked = read_vectors(directory + "/questions.npy");
    const auto texts = read_lines(directory + "/glosses.tsv");
    const sonde::view questions = half_rows(asked).slice(0, 3);

    sonde::index index("ivf(nlist=128, metric=cosine)", DIM);
    index.add(half_rows(vectors)); /* ids 0, 1, 2, ... */
    index.save("quick_start.sonde");

    const sonde::index again = sonde::index::open("quick_start.sonde", sonde::open_options().mmap());
    std::cout << again.spec() << ": " << again.size() << " rows\n";
    print(again.search(questions, sonde::search().k(3).recall(0.95f)), texts);

    std::cout << "\nGlosses of at most 40 letters only:\n";
    const auto is_short = [&](std::int64_t id) { return texts.at(static_cast<std::size_t>(id)).size() <= 40; };
    print(again.search(questions, sonde::search().k(3).filter(sonde::filter::where(is_short))), texts);
}

int main(int argc, char **argv)
{
    int code = 0;
    try {
        find_and_print(argc > 1 ? argv[1] : "examples/data");
    } catch (const std::exception &error) {
        std::cerr << "failed: " << error.what() << '\n';
        code = 1;
    }
    std::remove("quick_start.sonde");
    return code;
}
