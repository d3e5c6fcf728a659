"""Parquet files with the columns and types that the Hugging Face hub's data sets have, a few rows written by hand each, and one file of many
kinds of values. Made with Python 3.11, pyarrow 26.0.1:  python make_parquet.py
"""

import datetime
import os

import pyarrow as pa
import pyarrow.parquet as pq

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT, TEXTS = pa.string(), pa.list_(pa.string())


def write(name, columns, rows, **options):
    schema = pa.schema([pa.field(key, kind) for key, kind in columns.items()])
    table = pa.Table.from_pylist(rows, schema=schema)
    pq.write_table(table, os.path.join(HERE, f"{name}.parquet"), **options)


write("gsm8k", {"question": TEXT, "answer": TEXT}, [
    {"question": "Ann has 2 pens and buys 1,003 more. How many has she?", "answer": "2 + 1003 = <<2+1003=1005>>1005\n#### 1,005"},
    {"question": "What is 3 minus 5?", "answer": "#### -2"},
])
write("math", {"problem": TEXT, "level": TEXT, "type": TEXT, "solution": TEXT}, [
    {"problem": "What is $\\frac12$ of 3?", "level": "Level 2", "type": "Algebra", "solution": "It is $\\boxed{\\frac{3}{2}}$."},
    {"problem": "What is $1+1$?", "level": "Level ?", "type": "Algebra", "solution": "It is $\\boxed 2$."},
])
image = pa.struct([("bytes", pa.binary()), ("path", TEXT)])
write("olympiadbench", {
    "id": pa.int32(), "question": TEXT, "solution": TEXTS, "final_answer": TEXTS, "context": TEXT, "image_1": image, "image_2": image,
    "modality": TEXT, "difficulty": TEXT, "is_multiple_answer": pa.bool_(), "unit": TEXT, "answer_type": TEXT, "error": TEXT,
    "question_type": TEXT, "subfield": TEXT, "subject": TEXT, "language": TEXT,
}, [
    {"id": 7, "question": "Find all $x$ with $x^2=4$.", "solution": ["Try."], "final_answer": ["$-2$,$2$"], "context": None,
     "modality": "Text-only", "difficulty": "Competition", "is_multiple_answer": True, "unit": None, "answer_type": "Numerical",
     "error": None, "question_type": "Open-ended", "subfield": "Algebra", "subject": "Math", "language": "English"},
    {"id": 9, "question": "How wide is the angle?", "solution": ["See."], "final_answer": ["60"], "context": "A triangle has equal sides.",
     "modality": "Text-only", "difficulty": "Competition", "is_multiple_answer": False, "unit": "^{\\circ}", "answer_type": "Numerical",
     "error": "1e-1", "question_type": "Open-ended", "subfield": "Geometry", "subject": "Math", "language": "English"},
])
write("amc23", {"id": pa.int64(), "question": TEXT, "answer": pa.float64(), "url": TEXT}, [
    {"id": 0, "question": "What is 9 times 3?", "answer": 27.0, "url": "https://example.org/1"},
])
write("aime24", {"id": pa.int64(), "problem": TEXT, "solution": TEXT, "answer": TEXT, "url": TEXT, "year": TEXT}, [
    {"id": 60, "problem": "What is $6\\cdot 34$?", "solution": "204.", "answer": "204", "url": "https://example.org/2", "year": "2024"},
])
write("mbpp", {"task_id": pa.int32(), "text": TEXT, "code": TEXT, "test_list": TEXTS, "test_setup_code": TEXT, "challenge_test_list": TEXTS}, [
    {"task_id": 11, "text": "Write a function to add a pair.", "code": "class Pair(object):\r\n  pass\r\ndef add_pair(p):\r\n  return p.a + p.b",
     "test_list": ["assert add_pair(Pair(1, 2)) == 3", "assert add_pair(Pair(2, 2)) == 4"], "test_setup_code": "root = 1", "challenge_test_list": []},
])
write("mbpp_sanitized", {"source_file": TEXT, "task_id": pa.int32(), "prompt": TEXT, "code": TEXT, "test_imports": TEXTS, "test_list": TEXTS}, [
    {"source_file": "a.ipynb", "task_id": 12, "prompt": "Write a function to halve a number.", "code": "def halve(n):\n  return n / 2",
     "test_imports": ["import math"], "test_list": ["assert math.isclose(halve(3), 1.5)"]},
])
write("humaneval", {"task_id": TEXT, "prompt": TEXT, "canonical_solution": TEXT, "test": TEXT, "entry_point": TEXT}, [
    {"task_id": "HumanEval/0", "prompt": "def twice(n: int) -> int:\n    \"\"\"Twice n.\"\"\"\n", "canonical_solution": "    return 2 * n\n",
     "test": "def check(candidate):\n    assert candidate(2) == 4\n", "entry_point": "twice"},
])
write("arc_challenge", {"id": TEXT, "question": TEXT, "choices": pa.struct([("text", TEXTS), ("label", TEXTS)]), "answerKey": TEXT}, [
    {"id": "X_1", "question": "Which is hot?", "choices": {"text": ["ice", "fire"], "label": ["A", "B"]}, "answerKey": "B"},
    {"id": "X_2", "question": "Which is wet?", "choices": {"text": ["sand", "stone", "rain"], "label": ["1", "2", "3"]}, "answerKey": "3"},
])
write("mmlu_stem", {"question": TEXT, "subject": TEXT, "choices": TEXTS, "answer": pa.int64()}, [
    {"question": "What is 2 + 2?", "subject": "elementary_mathematics", "choices": ["1", "2", "3", "4"], "answer": 3},
])
write("theoremqa", {"Question": TEXT, "Answer": TEXT, "Answer_type": TEXT, "Picture": image}, [
    {"Question": "Is 7 prime?", "Answer": "True", "Answer_type": "bool", "Picture": None},
    {"Question": "What does the picture show?", "Answer": "1", "Answer_type": "integer", "Picture": {"bytes": b"\x89PNG", "path": "a.png"}},
    {"Question": "Which primes are below 4? Answer with a list.", "Answer": "[2, 3]", "Answer_type": "list of integer", "Picture": None},
    {"Question": "Which? (a) 1 (b) 2", "Answer": "(b)", "Answer_type": "option", "Picture": None},
    {"Question": "What is half of 0.5?", "Answer": "0.25", "Answer_type": "float", "Picture": None},
])

kinds = {
    "n": pa.int64(), "u": pa.uint64(), "small": pa.int8(), "x": pa.float32(), "yes": pa.bool_(), "text": TEXT, "when": pa.timestamp("us"),
    "price": pa.decimal128(9, 2), "list": pa.list_(pa.int64()), "deep": pa.struct([("a", pa.struct([("b", TEXTS)]))]), "missing": TEXT,
}
rows = [
    {"n": i if i < 4 else 2**60 + i, "u": i, "small": -i, "x": i / 2, "yes": i % 2 == 0, "text": f"row {i} é",
     "when": datetime.datetime(2026, 11, 24, 12, i), "price": None, "list": [i, i + 1] if i else [], "deep": {"a": {"b": ["c", f"d{i}"]}},
     "missing": None}
    for i in range(6)
]
for codec in ["snappy", "gzip", "brotli", "zstd", "lz4", "none"]:
    write(f"kinds-{codec}", kinds, rows, compression=codec, row_group_size=2, data_page_version="2.0" if codec == "zstd" else "1.0")
