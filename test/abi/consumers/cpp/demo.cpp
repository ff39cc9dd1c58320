/* demo.cpp: demo.c through sonde.hpp.
 *
 * SPDX-License-Identifier: MIT
 */
#include <sonde.hpp>

#include <iostream>
#include <vector>

int main()
{
    const std::vector<float> points = {0, 0, 3, 4, 9, 9}, question = {3, 3};
    sonde::index index("flat", 2);
    index.add({points, 2});
    const sonde::hits hits = index.search({question, 2}, sonde::search().k(1));
    std::cout << "sonde " << sonde::version() << ": nearest " << hits.ids[0] << "\n";
}
