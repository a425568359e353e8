"use strict";
var __decorate = (this && this.__decorate) || function (decorators, target, key, desc) {
    var c = arguments.length, r = c < 3 ? target : desc === null ? desc = Object.getOwnPropertyDescriptor(target, key) : desc, d;
    if (typeof Reflect === "object" && typeof Reflect.decorate === "function") r = Reflect.decorate(decorators, target, key, desc);
    else for (var i = decorators.length - 1; i >= 0; i--) if (d = decorators[i]) r = (c < 3 ? d(r) : c > 3 ? d(target, key, r) : d(target, key)) || r;
    return c > 3 && r && Object.defineProperty(target, key, r), r;
};
var __metadata = (this && this.__metadata) || function (k, v) {
    if (typeof Reflect === "object" && typeof Reflect.metadata === "function") return Reflect.metadata(k, v);
};
var __param = (this && this.__param) || function (paramIndex, decorator) {
    return function (target, key) { decorator(target, key, paramIndex); }
};
var __importDefault = (this && this.__importDefault) || function (mod) {
    return (mod && mod.__esModule) ? mod : { "default": mod };
};
Object.defineProperty(exports, "__esModule", { value: true });
// Peer: NestJS 11 + Fastify adapter + Drizzle ORM (node-postgres pool).
// PEER_MODE=typical : the API key is looked up by a SELECT per request, statements unprepared (as usually written).
// PEER_MODE=cached  : key cached in memory, statements unprepared.
// PEER_MODE=tuned   : key cached in memory, prepared single-row upsert.
require("reflect-metadata");
const node_crypto_1 = require("node:crypto");
const node_cluster_1 = __importDefault(require("node:cluster"));
const common_1 = require("@nestjs/common");
const core_1 = require("@nestjs/core");
const platform_fastify_1 = require("@nestjs/platform-fastify");
const node_postgres_1 = require("drizzle-orm/node-postgres");
const drizzle_orm_1 = require("drizzle-orm");
const pg_core_1 = require("drizzle-orm/pg-core");
const pg_1 = require("pg");
const zod_1 = require("zod");
const tuned = process.env.PEER_MODE === 'tuned';
const cached = tuned || process.env.PEER_MODE === 'cached';
const integrations = (0, pg_core_1.pgTable)('integrations', {
    id: (0, pg_core_1.integer)('id').primaryKey().generatedByDefaultAsIdentity(),
    keyHash: (0, pg_core_1.text)('key_hash').notNull().unique(),
    name: (0, pg_core_1.text)('name').notNull(),
});
const alerts = (0, pg_core_1.pgTable)('alerts', {
    id: (0, pg_core_1.bigint)('id', { mode: 'number' }).primaryKey().generatedByDefaultAsIdentity(),
    integrationId: (0, pg_core_1.integer)('integration_id').notNull(),
    externalId: (0, pg_core_1.text)('external_id').notNull(),
    title: (0, pg_core_1.text)('title').notNull(),
    severity: (0, pg_core_1.text)('severity').notNull(),
    source: (0, pg_core_1.text)('source').notNull(),
    status: (0, pg_core_1.text)('status').notNull().default('open'),
    metadata: (0, pg_core_1.jsonb)('metadata').notNull().default({}),
    occurrences: (0, pg_core_1.integer)('occurrences').notNull().default(1),
    createdAt: (0, pg_core_1.timestamp)('created_at', { withTimezone: true }).notNull().defaultNow(),
    lastSeen: (0, pg_core_1.timestamp)('last_seen', { withTimezone: true }).notNull().defaultNow(),
}, (t) => [
    (0, pg_core_1.uniqueIndex)('alerts_ext_uq').on(t.integrationId, t.externalId),
    (0, pg_core_1.index)('alerts_status_created').on(t.status, t.createdAt),
]);
const db = (0, node_postgres_1.drizzle)(new pg_1.Pool({
    connectionString: process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:55432/peer', max: 20,
}));
const AlertDto = zod_1.z.object({
    external_id: zod_1.z.string().min(1).max(255),
    title: zod_1.z.string().min(1).max(500),
    severity: zod_1.z.enum(['critical', 'high', 'medium', 'low']),
    source: zod_1.z.string().max(100),
    metadata: zod_1.z.record(zod_1.z.unknown()).default({}),
});
const BulkDto = zod_1.z.object({ alerts: zod_1.z.array(AlertDto).min(1).max(1000) });
function parse(schema, body) {
    const r = schema.safeParse(body);
    if (!r.success)
        throw new common_1.BadRequestException(r.error.issues);
    return r.data;
}
const conflict = {
    target: [alerts.integrationId, alerts.externalId],
    set: {
        severity: (0, drizzle_orm_1.sql) `excluded.severity`, metadata: (0, drizzle_orm_1.sql) `excluded.metadata`, lastSeen: (0, drizzle_orm_1.sql) `now()`,
        occurrences: (0, drizzle_orm_1.sql) `${alerts.occurrences} + excluded.occurrences`,
    },
};
const prepared = db.insert(alerts).values({
    integrationId: drizzle_orm_1.sql.placeholder('i'), externalId: drizzle_orm_1.sql.placeholder('e'), title: drizzle_orm_1.sql.placeholder('t'),
    severity: drizzle_orm_1.sql.placeholder('s'), source: drizzle_orm_1.sql.placeholder('o'), metadata: drizzle_orm_1.sql.placeholder('m'), occurrences: 1,
}).onConflictDoUpdate(conflict).returning({ id: alerts.id }).prepare('upsert_alert');
const keyCache = new Map();
let KeyGuard = class KeyGuard {
    async canActivate(ctx) {
        const req = ctx.switchToHttp().getRequest();
        const key = req.headers['x-api-key'];
        if (typeof key !== 'string')
            throw new common_1.UnauthorizedException();
        let id = cached ? keyCache.get(key) : undefined;
        if (id === undefined) {
            const hash = (0, node_crypto_1.createHash)('sha256').update(key).digest('hex');
            const [row] = await db.select({ id: integrations.id }).from(integrations)
                .where((0, drizzle_orm_1.and)((0, drizzle_orm_1.eq)(integrations.keyHash, hash))).limit(1);
            if (!row)
                throw new common_1.UnauthorizedException();
            id = row.id;
            keyCache.set(key, id);
        }
        req.integrationId = id;
        return true;
    }
};
KeyGuard = __decorate([
    (0, common_1.Injectable)()
], KeyGuard);
let AlertsService = class AlertsService {
    async one(integrationId, a) {
        const [row] = tuned
            ? await prepared.execute({
                i: integrationId, e: a.external_id, t: a.title, s: a.severity, o: a.source, m: a.metadata,
            })
            : await db.insert(alerts).values({
                integrationId, externalId: a.external_id, title: a.title, severity: a.severity, source: a.source,
                metadata: a.metadata, occurrences: 1,
            }).onConflictDoUpdate(conflict).returning({ id: alerts.id });
        return { id: row.id, external_id: a.external_id };
    }
    async bulk(integrationId, list) {
        const byKey = new Map();
        for (const a of list) {
            const seen = byKey.get(a.external_id)?.occurrences ?? 0;
            byKey.set(a.external_id, {
                integrationId, externalId: a.external_id, title: a.title, severity: a.severity, source: a.source,
                metadata: a.metadata, occurrences: seen + 1,
            });
        }
        const rows = [...byKey.values()].sort((x, y) => (x.externalId < y.externalId ? -1 : 1)); // no deadlocks
        await db.insert(alerts).values(rows).onConflictDoUpdate(conflict);
        return { accepted: list.length };
    }
};
AlertsService = __decorate([
    (0, common_1.Injectable)()
], AlertsService);
let AlertsController = class AlertsController {
    svc;
    constructor(svc) {
        this.svc = svc;
    }
    one(req, body) {
        return this.svc.one(req.integrationId, parse(AlertDto, body));
    }
    bulk(req, body) {
        return this.svc.bulk(req.integrationId, parse(BulkDto, body).alerts);
    }
    nodb(body) { return { id: 0, external_id: parse(AlertDto, body).external_id }; }
};
__decorate([
    (0, common_1.Post)('alerts'),
    (0, common_1.HttpCode)(201),
    (0, common_1.UseGuards)(KeyGuard),
    __param(0, (0, common_1.Req)()),
    __param(1, (0, common_1.Body)()),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", [Object, Object]),
    __metadata("design:returntype", void 0)
], AlertsController.prototype, "one", null);
__decorate([
    (0, common_1.Post)('alerts/bulk'),
    (0, common_1.HttpCode)(201),
    (0, common_1.UseGuards)(KeyGuard),
    __param(0, (0, common_1.Req)()),
    __param(1, (0, common_1.Body)()),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", [Object, Object]),
    __metadata("design:returntype", void 0)
], AlertsController.prototype, "bulk", null);
__decorate([
    (0, common_1.Post)('nodb'),
    (0, common_1.HttpCode)(202),
    __param(0, (0, common_1.Body)()),
    __metadata("design:type", Function),
    __metadata("design:paramtypes", [Object]),
    __metadata("design:returntype", void 0)
], AlertsController.prototype, "nodb", null);
AlertsController = __decorate([
    (0, common_1.Controller)(),
    __metadata("design:paramtypes", [AlertsService])
], AlertsController);
let AppModule = class AppModule {
};
AppModule = __decorate([
    (0, common_1.Module)({ controllers: [AlertsController], providers: [AlertsService, KeyGuard] })
], AppModule);
async function main() {
    const app = await core_1.NestFactory.create(AppModule, new platform_fastify_1.FastifyAdapter({ bodyLimit: 4 << 20 }), { logger: ['error'] });
    await app.listen(Number(process.env.PORT ?? 4001), '127.0.0.1');
}
const workers = Number(process.env.WORKERS ?? 1);
if (workers > 1 && node_cluster_1.default.isPrimary)
    for (let i = 0; i < workers; i++)
        node_cluster_1.default.fork();
else
    void main();
