'use strict';

const { src, dest } = require('gulp');

/** What the compiler leaves behind: the icons, and the codex files that n8n reads beside its nodes. */
function copyIcons() {
  const files = ['{nodes,credentials}/**/*.{svg,png}', 'nodes/**/*.node.json'];
  // encoding: false, or gulp would read PNG files as text and ruin them.
  return src(files, { encoding: false, base: '.' }).pipe(dest(process.env.BUILD_FOLDER ?? 'dist'));
}

exports['build:icons'] = copyIcons;
exports.default = copyIcons;
