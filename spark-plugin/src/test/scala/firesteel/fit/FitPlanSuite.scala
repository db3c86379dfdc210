package firesteel.fit

import java.nio.file.Path

import firesteel.bridge.{InvalidDataException, UntrainedModelException}
import firesteel.checkpoint.Fingerprint
import firesteel.classification.NetworkClassifier
import firesteel.cluster.{ShardServer, ShardTask, TlsFiles}
import firesteel.data._
import firesteel.network.{Linear, Network}
import org.apache.spark.{SparkConf, SparkException}
import org.json4s.JsonAST.{JDouble, JInt, JObject, JString, JValue}
import org.json4s.jackson.JsonMethods.parse
import org.scalatest.funsuite.AnyFunSuite

final class FitPlanSuite extends AnyFunSuite {
  private val conf = new SparkConf(false).set("spark.driver.host", "[::1]")
  private val data = DataPlan(
    Seq(InputColumn("features", Seq("x"), InputFormat.Dense, ElementType.F32, Seq(4), 1.0)),
    Seq(LabelColumn("label", LabelKind.Class(3)))
  )

  private def plan(seed: Long): FitPlan = FitPlan(
    JObject(),
    data,
    Seq(JObject("loss" -> JObject("name" -> JString("cross_entropy")), "weight" -> JDouble(1))),
    _ => JObject("name" -> JString("sgd")),
    (_, _) => JObject("name" -> JString("adag")),
    JObject("labelSmoothing" -> JDouble(0.1)),
    identity,
    None,
    _ => 32,
    3,
    seed,
    shuffle = true,
    None
  )

  private def fields(json: String): Map[String, Any] = parse(json) match {
    case JObject(values) => values.toMap
    case other => fail(other.toString)
  }

  test("the server's document has exactly the fields that the native library reads") {
    val server = fields(plan(1).server(FitIdentity.random(), 2, 2, conf))
    assert(
      server.keySet === Set(
        "fit",
        "network",
        "data",
        "strategy",
        "optimizer",
        "controls",
        "workers",
        "tasks",
        "epochs"
      ) ++
        Set("seed", "bindAddress", "port", "portMaxRetries", "secret", "leaseMillis") +
        "startTimeoutMillis"
    )
    assert(server("bindAddress") === JString("::1"), "without the brackets of an IPv6 address")
  }

  test("a worker's document has exactly the fields that the native library reads") {
    val common = fields(plan(1).worker(FitIdentity.random(), 2, 2, 1234, conf))
    val own = FitPlan.ofTask(0, 7, 2, 1, 1L << 33, Seq("/tmp")).obj.toMap
    assert(common.keySet.intersect(own.keySet).isEmpty)
    assert(
      common.keySet ++ own.keySet ===
        Set(
          "server",
          "network",
          "data",
          "losses",
          "optimizer",
          "strategy",
          "batchSize",
          "epochs"
        ) ++
        Set("seed", "shuffle", "partition", "attempt", "workersInTask", "threads", "cacheBytes") +
        "spillDirectories" + "controls"
    )
    assert(common("controls") === JObject("labelSmoothing" -> JDouble(0.1)))
  }

  test("with shards all documents name them, and no worker gets the driver's secret") {
    val (sharded, identity) = (plan(1).copy(serverShards = 2), FitIdentity.random())
    val shards = Seq(ShardServer(1, "executor-host", 4711, "3"))
    val server = sharded.server(identity, 2, 2, conf, shards)
    assert(server.contains(identity.driverSecret) && server.contains("executor-host"))
    val worker = sharded.worker(identity, 2, 2, 1234, conf, shards)
    assert(worker.contains("4711") && !worker.contains(identity.driverSecret))
    val own = fields(ShardTask.withLocal(sharded.shard(identity, 1, 2, 2, conf), "here", conf))
    assert(
      own.keySet === Set("fit", "shard", "shards", "network", "data", "strategy", "optimizer") ++
        Set("workers", "bindAddress", "port", "portMaxRetries", "secret", "driverSecret") +
        "silenceMillis"
    )
    assert(own("shards") === JInt(2))
  }

  test("two fits that start from other weights are not the same fit") {
    def from(values: Byte*): FitPlan = plan(1).copy(initialWeights =
      Network
        .sequential(Linear(3))
        .withWeights(Array[Byte](2, 0, 0, 0, 0, 0, 0, 0) ++ "{}".getBytes ++ values)
        .initialWeights
    )
    def text(plan: FitPlan): String = Fingerprint(FitFingerprint.settings(plan, 2, conf)).text
    assert(text(from(1)) === text(from(1)))
    assert(Seq(plan(1), from(1), from(2)).map(text).distinct.size === 3)
    assert(text(plan(1)) === text(plan(1)))
  }

  test("two fits that spread their rows in other ways are not the same fit") {
    val fingerprints = SpreadRows.all.map { spread =>
      val spreading = plan(1).copy(data = data.copy(spread = spread))
      Fingerprint(FitFingerprint.settings(spreading, 2, conf)).text
    }
    assert(fingerprints.distinct.size === SpreadRows.all.size)
  }

  test("settings that are the same for one worker and not for several are not the same fit") {
    val estimators = Seq(
      new NetworkClassifier(),
      new NetworkClassifier().setLearningRateScaling("none"),
      new NetworkClassifier().setWindow(8),
      new NetworkClassifier().setStrategy("local-sgd").setWindow(8),
      new NetworkClassifier().setStrategy("downpour"),
      new NetworkClassifier().setStrategy("downpour").setServerScale(1)
    )
    val fingerprints = estimators.map { estimator =>
      Fingerprint(
        FitFingerprint.lasting(
          plan(1).copy(workerDependentSettings = estimator.workerDependentSettings),
          conf
        )
      ).text
    }
    assert(fingerprints.distinct.size === estimators.size)
  }

  test("the number of slots decides the fingerprint of a fit only where its workers are set") {
    def text(plan: FitPlan, slots: Int): String =
      Fingerprint(FitFingerprint.lasting(plan.copy(workers = _ => slots), conf)).text
    assert(text(plan(1), 2) === text(plan(1), 4))
    assert(text(plan(1), 2) != text(plan(2), 2), "another seed")
    val (two, four) =
      (plan(1).copy(requestedWorkers = Some(2)), plan(1).copy(requestedWorkers = Some(4)))
    assert(Seq(text(two, 2), text(four, 2), text(plan(1), 2)).distinct.size === 3)
    val spread = fields(plan(1).server(FitIdentity.random(), 4, tasks = 2, conf))
    assert(spread("tasks") === JInt(2))
  }

  private def ssl(settings: (String, String)*): SparkConf =
    conf.clone.setAll(settings.map { case (key, value) => s"spark.firesteel.ssl.$key" -> value })

  private val serverFiles = Seq(
    "enabled" -> "true",
    "certificate" -> "/etc/server.pem",
    "privateKey" -> "no-such-key.pem",
    "trustedCertificates" -> "/etc/ca.pem"
  )
  private val workerFiles =
    Seq("clientCertificate" -> "no-such-worker.pem", "clientPrivateKey" -> "/etc/worker-key.pem")

  private def here(path: String): String = Path.of(path).toAbsolutePath.toString

  test("with TLS the server's document has the files of the driver") {
    val server = fields(plan(1).server(FitIdentity.random(), 2, 2, ssl(serverFiles: _*)))
    val expected =
      s"""{"identity":{"certificate":"/etc/server.pem","privateKey":"${here(
          "no-such-key.pem"
        )}"},""" +
        """"trustedCertificates":"/etc/ca.pem","needClientAuth":false}"""
    assert(server("tls") === parse(expected))
  }

  test("with TLS a worker's document has its files as configured, and a task finds them") {
    def tls(document: Map[String, Any]): Option[JValue] = document("server") match {
      case JObject(server) => server.toMap.get("tls")
      case other => fail(other.toString)
    }
    def worker(conf: SparkConf): Map[String, Any] =
      fields(plan(1).worker(FitIdentity.random(), 2, 2, 1234, conf))
    assert(tls(worker(conf)).isEmpty)
    assert(
      tls(worker(ssl(serverFiles: _*))).contains(parse("""{"trustedCertificates":"/etc/ca.pem"}"""))
    )
    val both = plan(1).worker(FitIdentity.random(), 2, 2, 1234, ssl(serverFiles ++ workerFiles: _*))
    def expected(certificate: String): JValue = parse(
      s"""{"trustedCertificates":"/etc/ca.pem",
         |"identity":{"certificate":"$certificate","privateKey":"/etc/worker-key.pem"}}""".stripMargin
    )
    assert(tls(fields(both)).contains(expected("no-such-worker.pem")))
    parse(both) match {
      case common: JObject =>
        val located = TlsFiles.locatedIn(common)
        assert(tls(located.obj.toMap).contains(expected(here("no-such-worker.pem"))))
        assert(located.obj.map(_._1) === common.obj.map(_._1))
      case other => fail(other.toString)
    }
  }

  test("a negative seed crosses as the unsigned number with the same bits") {
    val server = fields(plan(-1).server(FitIdentity.random(), 2, 2, conf))
    assert(server("seed") === JInt(BigInt("18446744073709551615")))
  }

  test("each fit has a name and a secret of 256 bits of its own") {
    val (one, other) = (FitIdentity.random(), FitIdentity.random())
    assert(one.secret.matches("[0-9a-f]{64}"))
    assert(one.secret != other.secret && one.fit != other.fit)
    assert(!one.toString.contains(one.secret))
  }

  test("workers are spread evenly over tasks, and none is lost") {
    for (workers <- 1 to 17; tasks <- 1 to workers) {
      val each = (0 until tasks).map(WorkerTask.workersIn(_, workers, tasks))
      assert(each.sum === workers)
      assert(each.max - each.min <= 1)
    }
  }

  test("the typed failure inside a SparkException is what the user gets") {
    val cause = new InvalidDataException("row 3")
    val failed = new SparkException("Job aborted", new RuntimeException("task", cause))
    assert(FitJob.nativeCause(failed) eq cause)
    val other = new SparkException("cancelled")
    assert(FitJob.nativeCause(other) eq other)
    assert(
      FitJob
        .nativeCause(new UntrainedModelException("no rows"))
        .isInstanceOf[UntrainedModelException]
    )
  }
}
