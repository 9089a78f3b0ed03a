// Opens a file with the importer of speedscope and prints its profiles as JSON.
//
// usage: node speedscope_importer.cjs NODE_MODULES FILE
//
// The package contains the built page only. Its script runs here in a context of its own, with a
// page that does nothing, and with one change: it hands out the namespace of its importer.
"use strict"

const fs = require("fs")
const path = require("path")
const vm = require("vm")

function pageScript(modules) {
    const folder = path.join(modules, "speedscope", "dist", "release")
    const name = fs.readdirSync(folder).find(one => /^speedscope-.*\.js$/.test(one))
    return fs.readFileSync(path.join(folder, name), "utf8")
}

function withImporter(source) {
    const namespace = source.match(/\((\w+),\{[^}]*importProfileGroupFromText/)[1]
    const loading = new RegExp(`then\\(\\(\\)=>\\((\\w+)\\(\\),${namespace}\\)\\)`)
    const prepare = source.match(loading)[1]
    const begin = '"use strict";(()=>{'
    if (!source.startsWith(begin)) throw new Error("speedscope's script begins in another way")
    const handOut = `globalThis.importer=()=>(${prepare}(),${namespace});`
    return begin + handOut + source.slice(begin.length)
}

function nothing() {
    return new Proxy(function () {}, {
        get: (_, key) =>
            key === Symbol.toPrimitive ? () => "" : key === Symbol.iterator ? function* () {} : nothing(),
        apply: nothing,
        construct: nothing,
        set: () => true,
    })
}

function importerOf(modules) {
    const silent = { log() {}, warn() {}, error: console.error }
    const page = { console: silent, TextDecoder, TextEncoder, URL, setTimeout, clearTimeout }
    page.window = page.self = page
    page.document = nothing()
    page.location = { hash: "", protocol: "file:", href: "file:///" }
    page.navigator = { userAgent: "", platform: "" }
    page.localStorage = { getItem: () => null, setItem() {} }
    page.matchMedia = () => ({ matches: false, addListener() {}, addEventListener() {} })
    vm.createContext(page)
    try {
        vm.runInContext(withImporter(pageScript(modules)), page)
    } catch (error) {
        // Its last statement draws the page, which this one cannot do.
        if (!page.importer) throw error
    }
    return page.importer()
}

function described(profile) {
    const frames = []
    profile.forEachFrame(frame =>
        frames.push([frame.name, frame.file ?? "", frame.line ?? 0, frame.getSelfWeight(), frame.getTotalWeight()])
    )
    return {
        name: profile.getName(),
        unit: profile.getWeightUnit(),
        total: profile.getTotalNonIdleWeight(),
        frames,
    }
}

async function main(modules, file) {
    const text = fs.readFileSync(file, "utf8")
    const group = await importerOf(modules).importProfileGroupFromText(path.basename(file), text)
    console.log(JSON.stringify({ name: group.name, profiles: group.profiles.map(described) }))
}

main(...process.argv.slice(2)).catch(error => {
    console.error(error)
    process.exitCode = 1
})
