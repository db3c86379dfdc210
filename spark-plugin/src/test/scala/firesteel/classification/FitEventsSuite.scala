package firesteel.classification

import java.nio.file.{Files, Path}

import scala.concurrent.ExecutionContext.Implicits.global
import scala.concurrent.duration.DurationInt
import scala.concurrent.{Await, Future}
import scala.jdk.CollectionConverters.CollectionHasAsScala

import firesteel.bridge.TrainingDivergedException
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.tuning.{ParamGridBuilder, TrainValidationSplit}
import org.apache.spark.sql.functions.col
import org.apache.spark.sql.{DataFrame, SparkSession}
import org.json4s.JsonAST.{JDouble, JInt, JObject, JString, JValue}
import org.json4s.jackson.JsonMethods.parse
import org.scalatest.funsuite.AnyFunSuite

/** The events that the fits of an application write to a file. */
final class FitEventsSuite extends AnyFunSuite {
  import FitEventsSuite.Event

  private val Rows = 240

  private def classifier: NetworkClassifier = Blobs.classifier().setEpochs(2)

  private def withApplication[R](path: Path)(body: DataFrame => R): R = {
    val spark = SparkSession
      .builder()
      .master("local[2]")
      .appName("events")
      .config("spark.ui.enabled", false)
      .config("spark.sql.shuffle.partitions", 3)
      .config("spark.firesteel.progress.events", path.toString)
      .getOrCreate()
    try body(Blobs.frame(spark, Rows))
    finally spark.stop()
  }

  /** Returns the events that the fits of an application write. */
  private def eventsOf(body: DataFrame => Any): Seq[Event] = {
    val path = Files.createTempDirectory("firesteel").resolve("events.jsonl")
    withApplication(path)(body)
    read(path)
  }

  private def read(path: Path): Seq[Event] = Files.readAllLines(path).asScala.toSeq.map { line =>
    val event = parse(line)
    Event((event \ "type").values.toString, event \ "data")
  }

  /** Returns the events without those of progress, whose number depends on the speed. */
  private def milestones(events: Seq[Event]): Seq[Event] = events.filter(_.kind != "progress")

  test("a fit writes its start, each epoch, its progress and its result") {
    var losses = Seq.empty[Double]
    var seconds = 0.0
    var application = ""
    val events = eventsOf { data =>
      val summary = classifier.setStrategy("adag").fit(data).summary
      application = data.sparkSession.sparkContext.applicationId
      losses = summary.losses
      seconds = summary.seconds
    }
    val found = milestones(events)
    assert(found.map(_.kind) === Seq("fit", "epoch", "epoch", "result"))
    assert(
      found.head.data === JObject(
        "fit" -> JInt(0),
        "epochs" -> JInt(2),
        "workers" -> JInt(2),
        "strategy" -> JString("adag"),
        "application" -> JString(application)
      )
    )
    val epochs = losses.zipWithIndex.map { case (loss, index) =>
      JObject(
        "fit" -> JInt(0),
        "epoch" -> JInt(index + 1),
        "epochs" -> JInt(2),
        "loss" -> JDouble(loss),
        "metrics" -> JObject()
      )
    }
    assert(found.slice(1, 3).map(_.data) === epochs)
    assert(
      found.last.data === JObject(
        "fit" -> JInt(0),
        "seconds" -> JDouble(seconds),
        "rows" -> JInt(2 * Rows)
      )
    )
    val progress = events.filter(_.kind == "progress")
    assert(
      progress.last.data === JObject(
        "fit" -> JInt(0),
        "rows" -> JInt(2 * Rows),
        "epoch" -> JInt(2),
        "epochs" -> JInt(2)
      )
    )
    assert(events.last.kind === "result")
  }

  test("epochs have the metrics of the held-out rows under the names of the summary") {
    var expected = Seq.empty[JValue]
    val events = eventsOf { data =>
      val marked = data.withColumn("held", col("id") % 5 === 4)
      val fitted =
        classifier.setValidationIndicatorCol("held").setMetrics(Array("accuracy", "confusion"))
      expected = fitted.fit(marked).summary.epochs.flatMap(_.validation).map { scores =>
        JObject(
          "validationLoss" -> JDouble(scores.loss.get),
          "accuracy" -> JDouble(scores.metric("accuracy").get)
        )
      }
    }
    assert(expected.size === 2)
    assert(events.filter(_.kind == "epoch").map(_("metrics")) === expected)
  }

  test("candidates that train together write events with an index each, and so do later fits") {
    val events = milestones(eventsOf { data =>
      val estimator = classifier
      val grid = Seq(3, 2, 1).map(epochs => ParamMap(estimator.epochs -> epochs))
      estimator.fit(data, grid)
      estimator.fit(data)
    })
    val kinds = events.groupMap(_.fit)(_.kind)
    assert(kinds(JInt(0)) === Seq("fit", "epoch", "epoch", "epoch", "result"))
    assert(kinds(JInt(1)) === Seq("fit", "epoch", "epoch", "result"))
    assert(kinds(JInt(2)) === Seq("fit", "epoch", "result"))
    assert(kinds(JInt(3)) === Seq("fit", "epoch", "epoch", "result"))
    assert(events.take(3).map(_.kind) === Seq("fit", "fit", "fit"))
  }

  test("the fits of a search in several threads write whole lines") {
    val events = eventsOf { data =>
      val estimator = classifier.setNumWorkers(1).setEpochs(40)
      val searches = Seq(1, 2).map { seed =>
        Future {
          new TrainValidationSplit()
            .setEstimator(estimator.copy(ParamMap(estimator.seed -> seed.toLong)))
            .setEstimatorParamMaps(
              new ParamGridBuilder().addGrid(estimator.batchSize, Array(8, 16, 24)).build()
            )
            .setEvaluator(new MulticlassClassificationEvaluator())
            .setParallelism(2)
            .fit(data)
        }
      }
      searches.foreach(Await.result(_, 120.seconds))
    }
    val fits = milestones(events).groupMap(_.fit)(_.kind)
    // Of each search three candidates, and the best one again on all rows.
    assert(fits.keySet === (0 until 8).map(JInt(_)).toSet)
    val whole = "fit" +: Seq.fill(40)("epoch") :+ "result"
    assert(fits.values.toSet === Set(whole))
  }

  test("a fit that fails has no result, and the losses of one that diverges are valid JSON") {
    val events = eventsOf { data =>
      val diverging = classifier.setOptimizer("sgd").setLoss("mse_loss").setLearningRate(1e30)
      intercept[TrainingDivergedException](diverging.fit(data))
    }
    assert(events.head.kind === "fit")
    assert(!events.exists(_.kind == "result"))
  }

  test("events of several applications are appended to the same file") {
    val path = Files.createTempDirectory("firesteel").resolve("events.jsonl")
    Seq(1, 2).foreach(_ => withApplication(path)(data => classifier.fit(data)))
    val fits = read(path).filter(_.kind == "fit")
    assert(fits.map(_.fit) === Seq(JInt(0), JInt(0)))
  }

  test("a file that cannot be written is one warning, and the fits go on") {
    val path = Files.createTempDirectory("firesteel").resolve("missing").resolve("events.jsonl")
    val warnings = LoggedWarnings.of("firesteel.fit.EventFile") { _ =>
      withApplication(path) { data =>
        Seq(1, 2).foreach { _ =>
          assert(classifier.fit(data).summary.epochs.size === 2)
        }
      }
    }
    assert(warnings.size === 1, warnings)
    assert(
      warnings.head.startsWith(
        s"spark.firesteel.progress.events is '$path', which cannot be written: "
      ),
      warnings.head
    )
  }
}

object FitEventsSuite {
  private final case class Event(kind: String, data: JValue) {
    def apply(name: String): JValue = data \ name
    def fit: JValue = this("fit")
  }
}
