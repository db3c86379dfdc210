package firesteel.prediction

import java.nio.file.Files

import firesteel.data.LocalSpark
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.catalyst.plans.logical.{Filter, LogicalPlan}
import org.apache.spark.sql.execution.SparkPlan
import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.functions._
import org.apache.spark.sql.types.DoubleType
import org.scalatest.funsuite.AnyFunSuite

final class PredictionPlanSuite extends AnyFunSuite with LocalSpark {

  private val model = LinearModel(1)

  private def table: DataFrame = spark
    .range(0, 100, 1, 2)
    .select(
      col("id"),
      array((0 until 5).map(i => (col("id") + i).cast("float")): _*).as("features"),
      (col("id") % 3).cast("int").as("label"),
      col("id").cast("string").as("text")
    )

  private def optimized(df: DataFrame): LogicalPlan = SqlPrivate.execution(df).optimizedPlan

  private def node(df: DataFrame): PredictionNode =
    optimized(df).collectFirst { case node: PredictionNode => node }.get

  private def exec(df: DataFrame): PredictionExec = {
    def find(plan: SparkPlan): Option[PredictionExec] = plan.collectFirst {
      case exec: PredictionExec => exec
    }
    find(SqlPrivate.execution(df).sparkPlan).get
  }

  private def hasNode(df: DataFrame): Boolean =
    optimized(df).exists(_.isInstanceOf[PredictionNode])

  private def parquet: DataFrame = {
    val folder = Files.createTempDirectory("firesteel").resolve("table").toString
    table.write.parquet(folder)
    spark.read.parquet(folder)
  }

  test("the new columns follow those of the DataFrame, with their types and metadata") {
    val df = model.append(table)
    assert(df.columns.toSeq == table.columns.toSeq ++ LinearModel.Kinds.map(_.name))
    assert(df.schema("probability").dataType == VectorType)
    assert(df.schema("prediction").dataType == DoubleType)
    assert(!df.schema("prediction").nullable)
  }

  test("a query that uses no output has no operator") {
    val df = model.append(table)
    assert(hasNode(df))
    assert(!hasNode(df.select("id", "label")))
    assert(!hasNode(df.groupBy("label").count()))
    assert(df.count() == 100)
  }

  test("only the outputs and the columns that are used are computed and passed") {
    val used = node(model.append(table).select("prediction", "id"))
    assert(used.predictor.outputs == Seq(OutputKind.Prediction))
    assert(used.passed.map(_.name) == Seq("id"))
    assert(used.child.output.map(_.name).toSet == Set("id", "features"))
    val alone = node(model.append(table).select("probability"))
    assert(alone.passed.isEmpty)
    assert(alone.child.output.map(_.name) == Seq("features"))
  }

  test("conditions on other columns go below, those on outputs stay above") {
    val df = model.append(parquet).filter("id > 5 and prediction = 1 and label < 2")
    val above = optimized(df).collectFirst { case filter: Filter => filter }.get
    assert(above.condition.references.map(_.name).toSet == Set("prediction"))
    val below = node(df).child.collectFirst { case filter: Filter => filter }.get
    assert(below.condition.references.map(_.name).toSet == Set("id", "label"))
    assert(SqlPrivate.execution(df).executedPlan.toString.contains("PushedFilters: [IsNotNull(id)"))
    val only = model.append(table).filter("id > 5").select("prediction")
    assert(!optimized(only).exists {
      case Filter(_, child) => child.exists(_.isInstanceOf[PredictionNode])
      case _ => false
    })
  }

  test("plans are equal exactly when weights, columns and outputs are") {
    val df = table
    def canonical(model: LinearModel, suffix: String = ""): LogicalPlan =
      SqlPrivate.execution(model.append(df, suffix = suffix)).analyzed.canonicalized
    assert(canonical(model) == canonical(LinearModel(1)))
    assert(canonical(model) == canonical(model, "_renamed"))
    assert(canonical(model) != canonical(LinearModel(2)))
    val fewer = model.append(df, Seq(OutputKind.Prediction))
    assert(SqlPrivate.execution(fewer).analyzed.canonicalized != canonical(model))
  }

  test("a session that never saw a transform plans one") {
    model.append(table).createOrReplaceGlobalTempView("predicted")
    val other = spark.newSession()
    assert(other.experimental.extraStrategies.isEmpty)
    assert(exec(other.table("global_temp.predicted")).computed.size == 3)
  }

  test("a columnar child is read columnar unless wide columns are passed through") {
    val df = model.append(parquet)
    def columnar(df: DataFrame): Boolean = SqlPrivate
      .execution(df)
      .executedPlan
      .collectFirst { case exec: PredictionExec => exec.supportsColumnar }
      .get
    assert(columnar(df.select("prediction")))
    assert(columnar(df.select("prediction", "id", "text")))
    assert(!columnar(df))
    assert(!columnar(model.append(table).select("prediction")))
  }

  test("the order and the partitions of the rows are known above") {
    val df = model.append(table.repartition(3, col("id")).sortWithinPartitions("id"))
    val planned = exec(df)
    assert(planned.outputOrdering == planned.child.outputOrdering)
    val sorted = df.sortWithinPartitions("id")
    assert(SqlPrivate.execution(sorted).executedPlan.toString.split("Sort").length == 2)
  }
}
