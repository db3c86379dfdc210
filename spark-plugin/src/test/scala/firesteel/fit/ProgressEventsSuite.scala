package firesteel.fit

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters.CollectionHasAsScala

import firesteel.summary._
import org.json4s.JsonAST.{JDouble, JInt, JNull, JObject, JString, JValue}
import org.json4s.jackson.JsonMethods.parse
import org.scalatest.funsuite.AnyFunSuite

final class ProgressEventsSuite extends AnyFunSuite {

  /** A fit of two workers whose events go to a new file. */
  private final class Fixture(validated: Boolean = false) {
    val path: Path = Files.createTempDirectory("firesteel").resolve("events.jsonl")
    var seconds = 0.0
    private val fit = ReportedFit(FitSize(3, 2), "adag", validated)
    val progress =
      new ProgressEvents(
        new EventFile(path.toString),
        "local-1",
        Seq(fit),
        () => (seconds * 1e9).toLong
      )

    def events: Seq[(String, JValue)] = Files.readAllLines(path).asScala.toSeq.map { line =>
      val event = parse(line)
      (event \ "type").values.toString -> event \ "data"
    }
  }

  private def status(rows: Long, epochs: EpochStatus*): ServerStatus =
    ServerStatus(1, 0, 0, 0, 0, Nil, epochs, rows, None, Nil, None)

  private def epoch(
      index: Int,
      finished: Int,
      loss: Option[Double] = Some(0.5),
      validation: Option[ValidationSummary] = None
  ): EpochStatus = EpochStatus(index, loss, 10, finished, None, validation)

  test("progress is written about once a second, if there is any, and at the end") {
    val fit = new Fixture
    def rows: Seq[JValue] = fit.events.collect { case ("progress", data) => data \ "rows" }
    fit.progress.update(Seq(status(10)))
    assert(rows === Nil)
    Seq(1.1 -> 20L, 1.3 -> 30L, 2.0 -> 40L, 2.2 -> 50L, 3.3 -> 50L).foreach { case (at, trained) =>
      fit.seconds = at
      fit.progress.update(Seq(status(trained)))
    }
    assert(rows === Seq(JInt(20), JInt(50)))
    fit.progress.finish(Seq(status(60)))
    assert(rows.last === JInt(60))
    fit.progress.finish(Seq(status(60)))
    assert(rows.size === 3)
  }

  test("an epoch is written once, when all workers have trained it") {
    val fit = new Fixture
    fit.progress.update(Seq(status(10, epoch(0, 1))))
    assert(fit.events.map(_._1) === Seq("fit"))
    fit.progress.update(Seq(status(30, epoch(0, 2), epoch(1, 2), epoch(2, 1))))
    fit.progress.update(Seq(status(30, epoch(0, 2), epoch(1, 2), epoch(2, 1))))
    val epochs = fit.events.collect { case ("epoch", data) => data \ "epoch" }
    assert(epochs === Seq(JInt(1), JInt(2)))
  }

  test("an epoch with held-out rows is written with its scores, and without them at the end") {
    val fit = new Fixture(validated = true)
    val scores = ValidationSummary(
      1,
      5,
      Some(0.25),
      Seq(MetricSummary("accuracy", Some(0.75)), MetricSummary("auc", None))
    )
    def metrics: Seq[JValue] = fit.events.collect { case ("epoch", data) => data \ "metrics" }
    fit.progress.update(Seq(status(10, epoch(0, 2))))
    assert(metrics === Nil)
    fit.progress.update(Seq(status(10, epoch(0, 2, validation = Some(scores)), epoch(1, 2))))
    val first = JObject(
      "validationLoss" -> JDouble(0.25),
      "accuracy" -> JDouble(0.75),
      "auc" -> JNull
    )
    assert(metrics === Seq(first))
    fit.progress.finish(Seq(status(10, epoch(0, 2, validation = Some(scores)), epoch(1, 2))))
    assert(metrics === Seq(first, JObject()))
  }

  test("losses that are not numbers are null") {
    val fit = new Fixture
    val losses = Seq(Some(Double.NaN), Some(Double.NegativeInfinity), None)
    val epochs = losses.zipWithIndex.map { case (loss, index) => epoch(index, 2, loss) }
    fit.progress.update(Seq(status(10, epochs: _*)))
    assert(fit.events.collect { case ("epoch", data) => data \ "loss" } === Seq.fill(3)(JNull))
  }

  test("fits of one application are counted in one file") {
    val path = Files.createTempDirectory("firesteel").resolve("events.jsonl")
    val file = new EventFile(path.toString)
    val fit = ReportedFit(FitSize(1, 1), "sync", validated = false)
    Seq(2, 1).foreach(fits => new ProgressEvents(file, "local-1", Seq.fill(fits)(fit), () => 0L))
    val started = Files.readAllLines(path).asScala.toSeq.map(parse(_))
    assert(started.map(_ \ "data" \ "fit") === Seq(JInt(0), JInt(1), JInt(2)))
    assert(started.map(_ \ "data" \ "strategy").distinct === Seq(JString("sync")))
    val time = (started.head \ "time").values.toString
    assert(time.matches("""\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"""), time)
  }
}
