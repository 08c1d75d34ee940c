"""A course in a box: problem sets that change with a seed, built and graded with Otter-Grader.

`draws` holds the constants of each set, `master` reads a problem set, `build` makes what students and instructors
get, `grade` grades a folder of submissions in `sandbox`es; `inside` is what runs beside a student's code there and
`checks` is what tests call. No solution is in this package: solutions and hidden tests are in book/assignments/.
"""

import sys

# Every import of nbformat would compile a grammar of web addresses, which takes seconds and which no notebook needs.
sys.modules.setdefault("rfc3987_syntax", None)          # type: ignore[arg-type]
