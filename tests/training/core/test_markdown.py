"""A card as HTML: what is markup, and what stays text."""

from training.core.markdown import as_html


def test_headings_lists_tables_code_and_bold():
    text = "# A net\n\nIt **is**\nshort.\n\n- Release `abc`\n- two\n\n| what | n |\n| --- | ---: |\n| mae | 4 |\n"

    assert as_html(text).replace("\n", "") == (
        "<h2>A net</h2><p>It <b>is</b> short.</p>"
        '<ul class="plain"><li>Release <code class="breaks">abc</code></li><li>two</li></ul>'
        '<div class="table" tabindex="0"><table><thead><tr><th scope="col">what</th><th scope="col">n</th></tr></thead>'
        "<tbody><tr><td>mae</td><td>4</td></tr></tbody></table></div>"
    )


def test_nothing_in_a_card_becomes_markup_of_its_own():
    hostile = '<script>x</script>\n\n# <img src=x onerror="y">\n\n- <b>\n\n| <i> |\n| --- |\n| `<u>` **<s>** |'

    drawn = as_html(hostile)

    for tag in ("<script", "<img", "<b></li", "<i>", "<u>", "<s>"):
        assert tag not in drawn
    assert "&lt;script&gt;" in drawn
