# Values as tagged JSON text, by the exact type of built-ins alone: no method that a program may have written is called.
# null, true, false, "text", whole numbers up to 2^53; and ["i", hex], ["f", repr], ["c", re, im], ["b", hex], ["u", hex of text with lone
# surrogates], ["l", ...] list, ["t", ...] tuple, ["s", ...] set or frozenset, ["d", k, v, ...] dict, ["o", k, v, ...] OrderedDict,
# ["q", ...] deque, ["r", length, start, step] range, ["x", type] anything else, ["x", reason] what is too large or too deep.
import json
import sys
from _collections import OrderedDict, defaultdict, deque


class TooLarge(Exception):
    pass


def make_encoder(max_depth=64, max_chars=1 << 18):
    """A function from any value to text. All that it needs is bound here, before a program can replace it."""
    quote, modules, name_of = json.encoder.encode_basestring_ascii, sys.modules, type.__dict__["__name__"].__get__
    kind, text_of_float, hexadecimal, join, size = type, float.__repr__, hex, ",".join, len
    int_, float_, str_, bool_, complex_, bytes_, bytearray_, range_ = int, float, str, bool, complex, bytes, bytearray, range
    list_, tuple_, set_, frozenset_, dict_, none = list, tuple, set, frozenset, dict, type(None)
    items_of, encode_text, hex_of, bits = dict.items, str.encode, bytes.hex, int.bit_length
    ordered, default, queue = OrderedDict, defaultdict, deque
    recursion, encoding, too_large = RecursionError, UnicodeEncodeError, TooLarge
    tags = {list_: "l", tuple_: "t", set_: "s", frozenset_: "s", queue: "q"}

    def text(value):
        try:
            encode_text(value, "utf-8")
        except encoding:
            return '["u","%s"]' % hex_of(encode_text(value, "utf-8", "surrogatepass"))
        return quote(value)

    def encode(value, depth, left):
        t = kind(value)
        if t is none:
            out = "null"
        elif t is bool_:
            out = "true" if value else "false"
        elif t is int_:
            if bits(value) > 4 * max_chars:
                raise too_large("a number of more than %d digits" % max_chars)
            out = "%d" % value if bits(value) <= 53 else '["i","%s"]' % hexadecimal(value)
        elif t is float_:
            out = '["f","%s"]' % text_of_float(value)
        elif t is str_:
            if size(value) > left[0]:
                raise too_large("more than %d characters" % max_chars)
            out = text(value)
        elif t is complex_:
            out = '["c","%s","%s"]' % (text_of_float(value.real), text_of_float(value.imag))
        elif t is bytes_ or t is bytearray_:
            if size(value) > left[0]:
                raise too_large("more than %d bytes" % max_chars)
            out = '["b","%s"]' % hex_of(bytes_(value))
        elif t is range_:
            n = value.__len__() if value.stop.bit_length() < 62 and value.start.bit_length() < 62 else 1 << 62
            parts = [n, value.start if n > 0 else 0, value.step if n > 1 else 0]
            out = '["r",%s]' % join([encode(part, depth, left) for part in parts])
        elif depth == 0:
            raise too_large("more than %d levels deep" % max_depth)
        elif t in tags:
            return '["%s"%s]' % (tags[t], elements(tuple_(value), depth, left))
        elif t is dict_ or t is default or t is ordered or (t is getattr(modules.get("collections"), "Counter", none)):
            flat = tuple_([part for pair in tuple_(items_of(value)) for part in pair])
            return '["%s"%s]' % ("o" if t is ordered else "d", elements(flat, depth, left))
        else:
            out = '["x",%s]' % quote(name_of(t)[:80])
        spend(size(out), left)
        return out

    def elements(values, depth, left):
        spend(6 + size(values), left)
        return "".join(["," + encode(value, depth - 1, left) for value in values])

    def spend(chars, left):
        left[0] -= chars
        if left[0] < 0:
            raise too_large("more than %d characters" % max_chars)

    def encoder(value):
        try:
            return encode(value, max_depth, [max_chars])
        except (too_large, recursion) as error:
            return '["x",%s]' % quote("too large: %s" % error)

    return encoder
