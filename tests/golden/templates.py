"""Golden outputs of transformers' chat templates: what templates of the wild ask of their language.

    python3 -m venv v && v/bin/pip install transformers==5.23.0 jinja2==3.1.6
    v/bin/python tests/golden/templates.py

Writes tests/data/golden/templates.json: each template, and what it makes of one conversation with one tool and the prompt of a
reply. The templates are written for this test; each uses what some published one does.
"""

import json
from pathlib import Path

import transformers
from transformers.utils.chat_template_utils import render_jinja_template

OUT = Path(__file__).resolve().parents[2] / "tests/data/golden/templates.json"
MESSAGES = [
    {"role": "system", "content": "Be brief, please."},
    {"role": "user", "content": "  What's the time in São Paulo?\n"},
    {"role": "assistant", "content": "<think>a clock</think>It's 07:52."},
    {"role": "user", "content": "Thanks & bye"},
]
LOOP = "{% for m in messages %}"
TEMPLATES = [
    LOOP + "{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}",
    LOOP + "{{ m.role + m.content }}{% endfor %}",
    LOOP + "{% generation %}{{ m.content.strip() }}{% endgeneration %}|{% endfor %}",
    LOOP + "{%- if m.role == 'assistant' %}\n  {%- generation -%}\n{{ m.content }}\n  {%- endgeneration %}\n{%- endif %}{% endfor %}",
    LOOP + "{{ m.content.replace('\\n', ' ').strip().title() }};{{ m.content.replace('e', 'E', 1) }}{% endfor %}",
    LOOP + "{{ m.content.split('</think>')[-1].lstrip('\\n') }}/{{ m.content.split() }}/{{ m.content.split(' ', 1) | last }}{% endfor %}",
    LOOP + "{% if m.content.startswith('<think>') %}{{ m.content.rsplit('</think>', 1)[1] }}{% continue %}{% endif %}{{ m.content | trim }}{% if loop.index == 3 %}{% break %}{% endif %}{% endfor %}",
    LOOP + "{{ m.content.upper().lower().capitalize() }}{{ m.content.find('time') }}{{ m.content.count('e') }}{{ m.role.endswith(('r', 'm')) }}{% endfor %}",
    LOOP + "{% for k, v in m.items() %}{{ k }}={{ v }};{% endfor %}{{ m.get('name') }}{{ m.get('name', 'x') }}{{ m.keys() | list }}{% endfor %}",
    "{% set ns = namespace(system='', n=0, all=[]) %}" + LOOP + "{% if m.role == 'system' %}{% set ns.system = m.content %}{% else %}{% set ns.n = ns.n + 1 %}{% set ns.all = ns.all + [m.role] %}{% endif %}{% endfor %}{{ ns.system + '/' ~ ns.n }}{{ ns.all }}{{ ns.all | join('+') }}",
    "{% set loop_messages = messages[1:] if messages[0]['role'] == 'system' else messages %}{% for m in loop_messages %}{{ '[INST] ' + m['content'] + ' [/INST]' if m['role'] == 'user' else ' ' + m['content'] + eos_token }}{% endfor %}",
    "{% for m in messages[::-1] %}{{ loop.revindex }}{{ m.role | upper }} {% endfor %}{{ messages | length }}{{ messages[-1].content[:6] }}{{ messages[0].content[-7:] }}",
    "{{ tools | tojson }}\n{{ tools[0] | tojson(indent=2) }}\n{{ tools[0].function.name | tojson }}{{ messages[1].content | tojson(ensure_ascii=True) }}{{ {'b': [1, 2.5, True, None], 'a': {}} | tojson(sort_keys=True, separators=(',', ':')) }}",
    "{% for t in tools %}{% for name, p in t.function.parameters.properties.items() %}{{ name }}: {{ p.type }}{{ ', ' if not loop.last }}{% endfor %}{{ t['function']['parameters']['required'] }}{{ t.function.parameters }}{% endfor %}",
    "{{ true }} {{ none }} {{ [1, 'a', \"it's\", true] }} {{ {'k': 'v', 'n': none} }} {{ (1, 2) }} {{ 1.0 }} {{ 'a' ~ 1 ~ 'b' }}",
    "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | map('trim') | join(' | ') }}{{ messages | map(attribute='role') | list }}{{ (messages | rejectattr('role', 'equalto', 'user') | list) | length }}",
    "{% macro turn(role, text='') %}<{{ role }}>{{ text }}</{{ role }}>{% endmacro %}" + LOOP + "{{ turn(m.role, text=m.content | trim) }}{% endfor %}{% set x %}block {{ 1 + 1 }}{% endset %}{{ x }}{{ x | trim | length }}",
    LOOP + "{% set who = {'user': 'human', 'assistant': 'gpt'}[m.role] if m.role != 'system' else 'sys' %}{{ '%s says %s' | format(who, m.content | trim) }}\n{% endfor %}{{ 'x' in 'xyz' }}{{ 'content' in messages[0] }}{{ messages[0].tool_calls is defined }}{{ messages[0].name is none }}",
    LOOP + "{{ '%s: %s\\n' % (m.role, m.content | trim) + '-' * 3 }}{{ m.role ~ ' %5.1f%%|%-4s|%04d' % (12.345, 'a', loop.index) }}{% if loop.index0 % 2 %}{{ '%s' % loop.last }}{% endif %}{% endfor %}",
    "{{ '-'.join(['a', 'b']) }}{{ 'a,b'.partition(',') }}{{ 'abc'.removeprefix('a').removesuffix('c') }}{{ ' x '.rstrip() }}{{ '7'.zfill(3) }}{{ 'x'.rjust(3) }}{{ '12'.isdigit() }}{{ 'a\\nb'.splitlines() }}{{ '{} {n}'.format('a', n=2) }}{{ 'hello world'.title() }}",
    "{% if not (messages[0].role == 'user') and messages | length > 2 %}{{ messages[0].content ~ (' ' * 3) ~ '!' }}{% endif %}{{ [1, 2] + [3] }}{{ ([1] + [2]) | sum }}{{ 7 // 2 }}{{ 7 % 3 }}{{ 2 ** 3 }}{{ [3, 1] | sort }}{{ (messages | first).role }}",
    "{%- if messages[0].role != 'system' -%}{{- raise_exception('no system message') -}}{%- endif -%}\n    {# a remark #}\n    {%- for m in messages %}\n        {{- m.content }}\n    {%- endfor %}\n{% if add_generation_prompt %}>>{% endif %}\n",
]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string"}, "zone": {"type": "integer"}},
            "required": ["location"],
        },
    },
}


def main():
    rows = []
    for template in TEMPLATES:
        text, _ = render_jinja_template(
            conversations=[MESSAGES], tools=[TOOL], chat_template=template, add_generation_prompt=True,
            bos_token="<|begin_of_text|>", eos_token="<|eot_id|>",
        )
        rows.append({"template": template, "text": text[0]})
    head = {"made_by": "tests/golden/templates.py", "transformers": transformers.__version__, "messages": MESSAGES, "tool": TOOL}
    lines = ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows)
    OUT.write_text(json.dumps(head, ensure_ascii=False)[:-1] + ', "rows": [\n' + lines + "\n]}\n")
    print(f"{len(rows)} templates")


if __name__ == "__main__":
    main()
