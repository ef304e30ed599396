// The results of node's test runner as a JUnit file, for the sums of contrib/dev.
const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'})[c]).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\x1b\[\d*m/g, '');

export default async function* junit(source) {
  const file = (process.argv[1] || '').split('/').pop().replace('.test.js', ''), cases = [];
  let failures = 0, skipped = 0;
  for await (const {type, data} of source) {
    if ((type !== 'test:pass' && type !== 'test:fail') || data.nesting > 0) continue;
    const head = `<testcase name="${escape(`panel ${file}: ${data.name}`)}" classname="panel" time="${(data.details.duration_ms / 1e3).toFixed(3)}"`;
    if (data.skip !== undefined && data.skip !== false) {
      skipped++;
      cases.push(`${head}><skipped/></testcase>`);
    } else if (type === 'test:pass') cases.push(`${head}/>`);
    else {
      failures++;
      const error = data.details.error?.cause ?? data.details.error, text = error?.stack || error?.message || String(error);
      cases.push(`${head}><failure message="${escape(text.split('\n')[0])}">${escape(text)}</failure></testcase>`);
    }
  }
  yield `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites><testsuite name="panel" tests="${cases.length}" failures="${failures}" errors="0" skipped="${skipped}">\n${cases.join('\n')}\n</testsuite></testsuites>\n`;
}
